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
        var coding: ContentCoding?
        var response = ByteBuffer()
        var second = Int.min
        var until = NIODeadline.distantFuture
        var count: KeptAnswers.Count?
    }

    /// A power of two. Two targets that meet in one place only take turns in it.
    private static let places = 256

    /// The most memory that copies take.
    private static let bytes = 4 * 1024 * 1024

    private let answers: KeptAnswers
    private let loop: any EventLoop
    private var entries = [Entry](repeating: Entry(), count: places)
    /// What the copies take.
    private(set) var held = 0
    private var isSweepDue = false

    init(_ answers: KeptAnswers, on loop: any EventLoop) {
        self.answers = answers
        self.loop = loop
    }

    /// The response to a plain GET of the target at `range`; nil when none is kept.
    ///
    /// - Parameter accepted: where the value of `Accept-Encoding` lies.
    func response(to bytes: RawSpan, target range: Range<Int>, accepting accepted: Range<Int> = 0..<0) -> ByteBuffer? {
        guard answers.isOpen else { return nil }
        // FNV-1a: what a target hashes to decides about speed alone.
        var hash: UInt64 = 14_695_981_039_346_656_037
        for index in range {
            hash = (hash ^ UInt64(bytes.byte(index))) &* 1_099_511_628_211
        }
        let coding =
            accepted.isEmpty ? nil : ContentCoding.preferred(in: bytes, accepted, of: answers.codings)
        hash &+= coding?.salt ?? 0
        let place = Int(truncatingIfNeeded: hash ^ hash >> 32) & (Self.places - 1)
        let second = DateText.HeaderClock.second()
        if entries[place].hash == hash, entries[place].coding == coding, entries[place].second == second,
            NIODeadline.now() <= entries[place].until,
            isEqual(entries[place].target, bytes, range), let count = entries[place].count
        {
            answers.count(count)
            return entries[place].response
        }
        let target = bytes.withUnsafeBytes { Array($0[range]) }
        guard let whole = answers.whole(for: target, as: coding) else { return nil }
        answers.count(whole.count)
        keep(
            Entry(
                hash: hash, target: target, coding: coding, response: whole.response, second: second,
                until: whole.until,
                count: whole.count), at: place)
        return whole.response
    }

    private func keep(_ entry: Entry, at place: Int) {
        remove(place)
        guard held + Self.size(entry) <= Self.bytes else { return }
        held += Self.size(entry)
        entries[place] = entry
        if !isSweepDue { scheduleSweep() }
    }

    private func remove(_ place: Int) {
        guard entries[place].count != nil else { return }
        held -= Self.size(entries[place])
        entries[place] = Entry()
    }

    private static func size(_ entry: Entry) -> Int { entry.response.storageCapacity + entry.target.count }

    private func scheduleSweep() {
        isSweepDue = true
        loop.assumeIsolated().scheduleTask(in: .seconds(1)) { self.sweep() }
    }

    /// Gives up the copies of seconds that have passed.
    private func sweep() {
        isSweepDue = false
        let second = DateText.HeaderClock.second()
        for place in entries.indices where entries[place].second != second { remove(place) }
        if held > 0 { scheduleSweep() }
    }

    private func isEqual(_ target: [UInt8], _ bytes: RawSpan, _ range: Range<Int>) -> Bool {
        guard target.count == range.count else { return false }
        for index in target.indices
        where target[index] != bytes.byte(range.lowerBound + index) {
            return false
        }
        return true
    }
}

@available(*, unavailable)
extension LoopAnswers: Sendable {}
