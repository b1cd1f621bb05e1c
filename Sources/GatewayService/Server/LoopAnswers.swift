import Glibc
import NIOCore

/// One event loop's own copies of the answers in demand, as whole responses: finding one takes no lock and no memory.
/// They take a bounded amount of memory, and none a second or two after they were last wanted.
///
/// A copy lives for the rest of the second on the clock, as its Date header does, and never longer than the answer itself.
/// Being made anew each second is also what keeps an answer in demand from being the cache's least recently used.
final class LoopAnswers {
    private struct Entry {
        var hash: UInt64 = 0
        var target: [UInt8] = []
        var origin: [UInt8] = []
        var coding: ContentCoding?
        /// The whole response, or its head.
        var response = ByteBuffer()
        /// What the head is of, when that is all there is.
        var large: KeptAnswers.LargeHead?
        var second = Int.min
        var until = NIODeadline.distantFuture
        var count: KeptAnswers.Count?
        /// Which copy it is of all that were ever made.
        var number = 0
    }

    /// A whole request, and where its answer is.
    private struct Request {
        var hash: UInt64 = 0
        var bytes: [UInt8] = []
        var place = 0
        /// The copy that answers it; 0 for none.
        var number = 0
    }

    /// A power of two. Two targets that meet in one place only take turns in it.
    private static let places = 256

    /// The longest request that is known again by its bytes.
    private static let requestLimit = 1024

    /// The most memory that copies and requests take.
    private static let bytes = 4 * 1024 * 1024

    private let answers: KeptAnswers
    private let loop: any EventLoop
    private var entries = [Entry](repeating: Entry(), count: places)
    private var requests = [Request](repeating: Request(), count: places)
    /// How many copies were made.
    private var made = 0
    /// What copies and requests take.
    private(set) var held = 0
    private var isSweepDue = false

    init(_ answers: KeptAnswers, on loop: any EventLoop) {
        self.answers = answers
        self.loop = loop
    }

    /// The response to bytes that are, from the first to the last, those of a request that was answered in this second; nil
    /// for all others. Who sends such a request again spares us reading it.
    func response(toKnown bytes: RawSpan, at now: NIODeadline) -> KeptAnswers.Ready? {
        guard answers.isOpen, bytes.byteCount <= Self.requestLimit else { return nil }
        let hash = bytes.quickHash
        let index = Int(truncatingIfNeeded: hash ^ hash >> 32) & (Self.places - 1)
        guard requests[index].hash == hash, requests[index].number > 0 else { return nil }
        let place = requests[index].place
        guard entries[place].number == requests[index].number, now <= entries[place].until,
            entries[place].second == DateText.HeaderClock.second(), bytes.holdsAll(of: requests[index].bytes),
            let count = entries[place].count, let ready = ready(at: place)
        else { return nil }
        answers.count(count)
        return ready
    }

    /// The copy, or the head that is there and the body that is in the cache, if it is still there.
    private func ready(at place: Int) -> KeptAnswers.Ready? {
        guard let large = entries[place].large else { return KeptAnswers.Ready(bytes: entries[place].response) }
        let target = String(decoding: entries[place].target, as: UTF8.self)
        guard let body = answers.body(for: target, as: entries[place].coding, behind: large) else { return nil }
        return KeptAnswers.Ready(bytes: entries[place].response, body: body)
    }

    /// The response to a plain GET of the target at `range`; nil when none is kept.
    ///
    /// - Parameters:
    ///   - length: where the request ends.
    ///   - accepted: where the value of `Accept-Encoding` lies.
    ///   - origin: where the value of `Origin` lies.
    func response(
        to bytes: RawSpan, length: Int, target range: Range<Int>, accepting accepted: Range<Int> = 0..<0,
        from origin: Range<Int> = 0..<0
    ) -> KeptAnswers.Ready? {
        guard answers.isOpen else { return nil }
        // FNV-1a: what a target hashes to decides about speed alone.
        var hash: UInt64 = 14_695_981_039_346_656_037
        for index in range {
            hash = (hash ^ UInt64(bytes.byte(index))) &* 1_099_511_628_211
        }
        let coding =
            accepted.isEmpty ? nil : ContentCoding.preferred(in: bytes, accepted, of: answers.codings)
        hash &+= coding?.salt ?? 0
        for index in origin {
            hash = (hash ^ UInt64(bytes.byte(index))) &* 1_099_511_628_211
        }
        let place = Int(truncatingIfNeeded: hash ^ hash >> 32) & (Self.places - 1)
        let second = DateText.HeaderClock.second()
        if entries[place].hash == hash, entries[place].coding == coding, entries[place].second == second,
            NIODeadline.now() <= entries[place].until,
            bytes.holds(entries[place].target, at: range), bytes.holds(entries[place].origin, at: origin),
            let count = entries[place].count,
            let ready = ready(at: place)
        {
            answers.count(count)
            if length == bytes.byteCount { know(bytes, place) }
            return ready
        }
        let target = bytes.withUnsafeBytes { Array($0[range]) }
        let asker = bytes.withUnsafeBytes { Array($0[origin]) }
        let whole = answers.whole(
            for: String(decoding: target, as: UTF8.self), as: coding, from: String(decoding: asker, as: UTF8.self))
        guard let whole else { return nil }
        answers.count(whole.count)
        keep(
            Entry(
                hash: hash, target: target, origin: asker, coding: coding, response: whole.response.bytes,
                large: whole.large,
                second: second, until: whole.until, count: whole.count), at: place)
        if length == bytes.byteCount, entries[place].hash == hash { know(bytes, place) }
        return whole.response
    }

    /// Notes that the copy at `place` answers this request. Of two that meet in one place the first one stays as long as its
    /// copy: requests of which no two are equal displace nothing.
    private func know(_ bytes: RawSpan, _ place: Int) {
        let hash = bytes.quickHash
        let index = Int(truncatingIfNeeded: hash ^ hash >> 32) & (Self.places - 1)
        guard bytes.byteCount <= Self.requestLimit, held + bytes.byteCount <= Self.bytes,
            requests[index].number == 0 || entries[requests[index].place].number != requests[index].number
        else { return }
        forget(index)
        held += bytes.byteCount
        requests[index] = Request(
            hash: hash, bytes: bytes.withUnsafeBytes { Array($0) }, place: place, number: entries[place].number)
    }

    private func forget(_ index: Int) {
        guard requests[index].number > 0 else { return }
        held -= requests[index].bytes.count
        requests[index] = Request()
    }

    private func keep(_ entry: Entry, at place: Int) {
        // Origins are anybody's to make up: what has one displaces nothing of this second that has none.
        let there = entries[place]
        if !entry.origin.isEmpty, there.count != nil, there.origin.isEmpty, there.second == entry.second { return }
        remove(place)
        guard held + Self.size(entry) <= Self.bytes else { return }
        held += Self.size(entry)
        made += 1
        entries[place] = entry
        entries[place].number = made
        if !isSweepDue { scheduleSweep() }
    }

    private func remove(_ place: Int) {
        guard entries[place].count != nil else { return }
        held -= Self.size(entries[place])
        entries[place] = Entry()
    }

    private static func size(_ entry: Entry) -> Int {
        entry.response.storageCapacity + entry.target.count + entry.origin.count
    }

    private func scheduleSweep() {
        isSweepDue = true
        loop.assumeIsolated().scheduleTask(in: .seconds(1)) { self.sweep() }
    }

    /// Gives up the copies of seconds that have passed.
    private func sweep() {
        isSweepDue = false
        let second = DateText.HeaderClock.second()
        for place in entries.indices where entries[place].second != second { remove(place) }
        for index in requests.indices where entries[requests[index].place].number != requests[index].number {
            forget(index)
        }
        if held > 0 { scheduleSweep() }
    }
}

@available(*, unavailable)
extension LoopAnswers: Sendable {}

extension RawSpan {
    /// A number made of all bytes, eight at a time: what it is decides about speed alone. No request has fewer than eight.
    fileprivate var quickHash: UInt64 {
        guard byteCount >= 8 else { return 0 }
        var hash = UInt64(truncatingIfNeeded: byteCount) &* 0x9E37_79B9_7F4A_7C15
        let last = byteCount - 8
        var offset = 0
        while true {
            // Within the span: no offset is beyond the last eight bytes.
            let word = unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self)
            hash = (hash ^ word) &* 0xBF58_476D_1CE4_E5B9
            hash ^= hash >> 29
            if offset == last { return hash ^ hash >> 32 }
            offset = min(offset + 8, last)
        }
    }

    fileprivate func holdsAll(of other: [UInt8]) -> Bool { holds(other, at: 0..<byteCount) }

    /// Whether the bytes at `range`, which lies within the span, are these.
    fileprivate func holds(_ other: [UInt8], at range: Range<Int>) -> Bool {
        guard other.count == range.count, !range.isEmpty else { return other.isEmpty && range.isEmpty }
        return withUnsafeBytes { own in
            other.withUnsafeBytes { other in
                guard let own = own.baseAddress, let other = other.baseAddress else { return false }
                return memcmp(own + range.lowerBound, other, range.count) == 0
            }
        }
    }
}
