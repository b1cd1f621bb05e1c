import Testing

@testable import Traffic

@Suite("Endpoints that failed a request")
struct TriedEndpointsTests {
    @Test("Holds indices of any size, and forgets what is taken out")
    func anySize() {
        var tried = TriedEndpoints()
        #expect(tried.isEmpty && !tried.contains(0))
        for index in [0, 64, 70, 1_023] { tried.insert(index) }
        tried.insert(64)
        #expect([0, 64, 70, 1_023].allSatisfy(tried.contains) && !tried.contains(1) && !tried.contains(6))
        tried.remove(64)
        tried.remove(5)
        #expect(!tried.contains(64) && [0, 70, 1_023].allSatisfy(tried.contains))
        for index in [0, 70, 1_023, 3] { tried.remove(index) }
        #expect(tried == TriedEndpoints())
    }

    @Test("Is full with eight, and takes no ninth")
    func full() {
        var tried = TriedEndpoints()
        for index in 0..<8 {
            #expect(!tried.isFull)
            tried.insert(index * 100)
        }
        #expect(tried.isFull)
        tried.insert(5)
        #expect(!tried.contains(5))
        tried.remove(0)
        #expect(!tried.isFull && tried.contains(700))
    }

    @Test(
        "A failed endpoint does not shadow the one 64 places behind it",
        arguments: [Balance.roundRobin, .leastOutstanding, .consistentHash(.clientAddress)])
    func noShadow(balance: Balance) {
        var random = SplitMix64(seed: 1)
        let upstream = Tables.one(endpoints: 65) { $0.balance = balance }
        for index in 1..<64 { upstream.endpoints[index].setAdministrative(.drain, now: 0) }
        for _ in 0..<50 {
            #expect(upstream.choose(&random, tried: 1) == .endpoint(index: 64, trial: false))
            upstream.endpoints[64].release()
        }
    }

    @Test("A mask of endpoints finds each member by its rank")
    func mask() {
        var mask = EndpointMask()
        let members = [0, 1, 63, 64, 127, 500, 1_023]
        for index in members { mask.insert(index) }
        #expect((0..<mask.count).map { mask.member($0) } == members)
        mask.remove(63)
        mask.remove(0)
        #expect((0..<mask.count).map { mask.member($0) } == [1, 64, 127, 500, 1_023])
    }
}
