import Synchronization
import Testing

@testable import Traffic

@Suite("Details of the choice of an endpoint")
struct SelectionDetailTests {
    @Test("A trial that is due comes with the next request, however many others are in service")
    func trialAmongMany() {
        for seed in 1...20 as ClosedRange<UInt64> {
            let upstream = Tables.one(endpoints: 12)
            var random = SplitMix64(seed: seed)
            #expect(upstream.eject(3, now: 0))
            for _ in 0..<30 { #expect(upstream.choose(&random, now: 29_999) != .endpoint(index: 3, trial: true)) }
            #expect(upstream.choose(&random, now: 30_000) == .endpoint(index: 3, trial: true), "seed \(seed)")
        }
    }

    @Test("Of those that are open the less loaded is taken also while others are out")
    func lessLoaded() {
        let upstream = Tables.one(endpoints: 3) { $0.health = ProbeSpec() }
        var random = SplitMix64(seed: 3)
        for index in 0..<3 { upstream.endpoints[index].setOperational(index == 1 ? .down : .up, now: 1) }
        for loaded in [0, 2] {
            upstream.endpoints[loaded].outstanding.add(5, ordering: .relaxed)
            for _ in 0..<50 {
                #expect(upstream.choose(&random, now: 2) == .endpoint(index: 2 - loaded, trial: false))
                upstream.endpoints[2 - loaded].release()
            }
            upstream.endpoints[loaded].outstanding.subtract(5, ordering: .relaxed)
        }
    }

    @Test("In turn, one that has just come back gives its turn to the next, whichever place it has", arguments: 0..<3)
    func passesOn(place: Int) {
        let upstream = Tables.one(endpoints: 3) {
            $0.balance = .roundRobin
            $0.health = ProbeSpec()
            $0.slowStart = 100_000
        }
        var random = SplitMix64(seed: 5)
        for index in 0..<3 { upstream.endpoints[index].setOperational(.up, now: 1) }
        upstream.endpoints[place].setOperational(.down, now: 2)
        upstream.endpoints[place].setOperational(.up, now: 3)
        var counts = [0, 0, 0]
        for _ in 0..<300 {
            guard case .endpoint(let index, _) = upstream.choose(&random, now: 4) else { continue }
            upstream.endpoints[index].release()
            counts[index] += 1
        }
        #expect(counts[place] <= 5 && counts[(place + 1) % 3] >= 195, "\(counts)")
        #expect(counts[(place + 2) % 3] == 100, "\(counts)")
    }
}
