import Dispatch
import Synchronization
import Testing
import Traffic

@Suite("Copies") struct MirrorTests {
    @Test(
        "Of any whole number of cycles exactly the share is copied, evenly",
        arguments: [0, 1, 10_000, 333_333, 1_000_000])
    func interleave(share: UInt32) {
        var traffic = MigrationTraffic(name: "a", from: 0, to: 1)
        traffic.mirrorShare = share
        var count = 0
        for position in 0..<2_000_000 where traffic.copies(position: UInt64(position) &+ 5_000_000) { count += 1 }
        #expect(count == Int(share) * 2)
        guard share > 0 else { return }
        var last = -1
        var widest = 0
        for position in 0..<1_000_000 where traffic.copies(position: UInt64(position)) {
            widest = max(widest, position - last)
            last = position
        }
        #expect(widest <= 1_000_000 / Int(share) + 1)
    }

    @Test("A copy goes to the side that did not answer, and to none if neither did")
    func otherSide() {
        var traffic = MigrationTraffic(name: "a", from: 2, to: 1)
        #expect(traffic.other(than: 2) == 1 && traffic.other(than: 1) == 2 && traffic.other(than: 0) == nil)
        #expect(!traffic.mirrors)
        traffic.mirrorShare = 1
        #expect(traffic.mirrors)
    }

    @Test("The first twenty an hour of each kind are copied, and the next hour's again")
    func rare() {
        let rare = RareTemplates()
        let template = TemplateHash()
        let kinds = (0..<100).map { Self.hash(template, "/kind\($0)x/5") }
        for kind in kinds {
            let taken = (0..<50).count { _ in rare.take(kind, hour: 7) }
            #expect(taken == 20)
        }
        for kind in kinds {
            let taken = (0..<50).count { _ in rare.take(kind, hour: 8) }
            #expect(taken == 20)
        }
    }

    @Test("However many kinds are invented, no more are copied than the table has places for")
    func invented() {
        let rare = RareTemplates()
        let template = TemplateHash()
        let taken = (0..<200_000).count { number in
            rare.take(Self.hash(template, "/invented-\(number)-x"), hour: 7)
        }
        #expect(taken <= RareTemplates.entries)
        // Each of those that have a place may come 19 times more, and the others never.
        let again = (0..<200_000).count { number in
            rare.take(Self.hash(template, "/invented-\(number)-x"), hour: 7)
        }
        #expect(again == taken)
    }

    @Test("Segments that name a thing count alike, and of a query the names in any order")
    func kinds() {
        let template = TemplateHash(patterns: ["/by/*/name"])
        func hash(_ target: String) -> UInt64 { Self.hash(template, target) }
        #expect(hash("/item/17") == hash("/item/4711") && hash("/item/17") != hash("/item/x17"))
        #expect(hash("/a/0123456789abcdef") == hash("/a/1") && hash("/a/0123456789abcde") != hash("/a/1"))
        #expect(hash("/a/9f8b1c2d-0000-4000-8000-0123456789ab") == hash("/a/2"))
        #expect(hash("/a/\(String(repeating: "z", count: 41))") == hash("/a/2"))
        #expect(hash("/a?x=1&y=2") == hash("/a?y=5&x=") && hash("/a?x=1") != hash("/a?y=1"))
        #expect(hash("/a") != hash("/a/") && hash("/") != hash("/a"))
        #expect(hash("/by/one/name") == hash("/by/two/name") && hash("/by/one/other") != hash("/by/two/other"))
        #expect(hash("/by/one/name") != hash("/by/one/name/more"))
    }

    private static func hash(_ template: TemplateHash, _ target: String) -> UInt64 {
        let bytes = Array(target.utf8)
        let mark = bytes.firstIndex(of: 0x3F) ?? bytes.count
        return template.hash(
            path: bytes.span.extracting(0..<mark),
            query: bytes.span.extracting(min(mark + 1, bytes.count)..<bytes.count))
    }

    @Test("A body's hash is the same however it is cut, and another for another body")
    func bodyHash() {
        var random = SplitMix64(seed: 7)
        let bytes = (0..<10_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        func hash(_ cuts: [Int]) -> UInt64 {
            var hash = BodyHash()
            var start = 0
            for cut in cuts + [bytes.count] {
                bytes[start..<cut].withUnsafeBytes { hash.add($0) }
                start = cut
            }
            return hash.value
        }
        let whole = hash([])
        for _ in 0..<200 {
            let cuts = (0..<5).map { _ in random.below(bytes.count) }.sorted()
            #expect(hash(cuts) == whole)
        }
        var other = BodyHash()
        bytes.dropLast().withUnsafeBytes { other.add($0) }
        #expect(other.value != whole)
        var zeros = BodyHash()
        var moreZeros = BodyHash()
        [0, 0, 0].withUnsafeBytes { zeros.add($0) }
        [0, 0, 0, 0].withUnsafeBytes { moreZeros.add($0) }
        #expect(zeros.value != moreZeros.value)
    }

    @Test("A body beyond the limit leaves its length and hash, and its memory goes back with the lease")
    func capturedBody() {
        let memory = MirrorMemory(limit: 10_000)
        let piece = [UInt8](repeating: 0x61, count: 700)
        var digests: [UInt64] = []
        for size in [1, 700] {
            var lease: MirrorLease? = MirrorLease(memory)
            var body = CapturedBody(limit: 1_000)
            for start in stride(from: 0, to: piece.count, by: size) {
                let isTaken = piece[start..<min(start + size, piece.count)].withUnsafeBytes { bytes in
                    lease.map { body.append(bytes, $0) } ?? false
                }
                #expect(isTaken)
            }
            #expect(body.isWhole && body.bytes == piece)
            let isTaken = piece.withUnsafeBytes { bytes in lease.map { body.append(bytes, $0) } ?? false }
            #expect(isTaken && !body.isWhole && body.bytes.isEmpty && body.length == 1_400)
            digests.append(body.digest)
            #expect(memory.held > 0 && memory.held <= 1_000)
            lease = nil
            #expect(memory.held == 0)
        }
        #expect(digests[0] == digests[1])
        let small = MirrorMemory(limit: 600)
        let lease = MirrorLease(small)
        var body = CapturedBody(limit: 1_000)
        let isTaken = piece.withUnsafeBytes { body.append($0, lease) }
        #expect(!isTaken && small.held == 0)
    }

    @Test("What asks for more than there is hides no room from others, and is never counted")
    func refusedShowsNowhere() {
        let memory = MirrorMemory(limit: 100)
        let isOver = Atomic(false)
        let refused = Atomic(0)
        let seenBeyond = Atomic(0)
        DispatchQueue.concurrentPerform(iterations: 2) { number in
            if number == 0 {
                for _ in 0..<20_000 where !MirrorLease(memory).grow(by: 100) { refused.add(1, ordering: .relaxed) }
                isOver.store(true, ordering: .relaxed)
            } else {
                let lease = MirrorLease(memory)
                repeat {
                    if lease.grow(by: 101) || memory.held > 100 { seenBeyond.add(1, ordering: .relaxed) }
                } while !isOver.load(ordering: .relaxed)
            }
        }
        #expect(refused.load(ordering: .relaxed) == 0)
        #expect(seenBeyond.load(ordering: .relaxed) == 0)
        #expect(memory.held == 0)
    }
}
