import Testing

@testable import Traffic

@Suite("Endpoints that failed a request")
struct TriedEndpointsTests {
    @Test("Holds indices of any size, and masks those of one block")
    func anySize() {
        var tried = TriedEndpoints()
        #expect(tried.isEmpty && !tried.contains(0) && tried.mask(from: 0) == 0)
        for index in [0, 64, 70, 9_999] { tried.insert(index) }
        tried.insert(64)
        #expect([0, 64, 70, 9_999].allSatisfy(tried.contains) && !tried.contains(1) && !tried.contains(6))
        #expect(tried.mask(from: 0) == 1)
        #expect(tried.mask(from: 64) == 0b100_0001)
        #expect(tried.mask(from: 128) == 0)
        tried.remove(64)
        #expect(!tried.contains(64) && tried.contains(70) && tried.mask(from: 64) == 0b100_0000)
        for index in [0, 70, 9_999, 3] { tried.remove(index) }
        #expect(tried.isEmpty)
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
}
