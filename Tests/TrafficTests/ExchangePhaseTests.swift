import Testing

@testable import Traffic

@Suite("Phases of an exchange") struct ExchangePhaseTests {
    private func waits(_ phase: ExchangePhase) -> [Wait] {
        [(false, false), (false, true), (true, false), (true, true)].map {
            phase.wait(clientHolds: $0.0, endpointHolds: $0.1)
        }
    }

    @Test("A request without a body waits for its answer's head, then its body, then the client")
    func plain() {
        var phase = ExchangePhase(hasBody: false)
        #expect(phase.request == .whole && phase.isUnanswered && !phase.takesBody && !phase.isComplete)
        #expect(waits(phase) == [.none, .none, .none, .none])
        phase.opened()
        phase.sent()
        #expect(waits(phase) == [.answerHead, .answerHead, .answerHead, .answerHead])
        phase.answerBegan()
        #expect(!phase.isUnanswered && !phase.isComplete)
        #expect(waits(phase) == [.answerBody, .answerBody, .flush, .flush])
        phase.answerEnded()
        #expect(phase.isComplete)
        #expect(waits(phase) == [.none, .restOfRequest, .flush, .flush], "what the client sent still has to leave")
    }

    @Test("A body is taken only once its head was sent; whoever does not move has the deadline")
    func body() {
        var phase = ExchangePhase(hasBody: true)
        #expect(!phase.takesBody)
        phase.checking()
        #expect(!phase.takesBody && phase.isChecking)
        #expect(waits(phase) == [.credentials, .credentials, .credentials, .credentials])
        phase.checked()
        #expect(!phase.isChecking && phase.attempt == .none)
        phase.queued()
        #expect(!phase.takesBody && waits(phase) == [.queue, .queue, .queue, .queue])
        phase.dialling()
        #expect(!phase.takesBody && waits(phase) == [.dial, .dial, .dial, .dial])
        phase.opened()
        #expect(!phase.takesBody, "the head goes first")
        phase.sent()
        #expect(phase.takesBody)
        #expect(waits(phase) == [.requestBody, .upload, .requestBody, .upload])
        phase.requestEnded()
        #expect(!phase.takesBody && phase.wait(clientHolds: false, endpointHolds: true) == .answerHead)
    }

    @Test("A body that is collected first is taken before any attempt")
    func collecting() {
        var phase = ExchangePhase(hasBody: true)
        phase.collect()
        #expect(phase.takesBody && waits(phase) == [.requestBody, .requestBody, .requestBody, .requestBody])
        phase.collected()
        #expect(phase.attempt == .none && phase.request == .arriving && !phase.takesBody)
        phase.opened()
        phase.sent()
        #expect(phase.takesBody, "what did not fit goes on behind it")
    }

    @Test("An answer that comes before the request has ended leaves the body its way; the exchange ends with both")
    func earlyAnswer() {
        var phase = ExchangePhase(hasBody: true)
        phase.opened()
        phase.sent()
        phase.answerBegan()
        #expect(phase.takesBody)
        #expect(waits(phase) == [.bothBodies, .answerBody, .flush, .flush])
        phase.answerEnded()
        #expect(phase.takesBody && !phase.isComplete)
        #expect(waits(phase) == [.restOfRequest, .restOfRequest, .flush, .flush])
        var whole = phase
        whole.requestEnded()
        #expect(whole.isComplete && whole.request == .whole)
        phase.requestAbandoned()
        #expect(phase.isComplete && phase.request == .abandoned && !phase.takesBody)
        phase.requestEnded()
        #expect(phase.request == .abandoned, "what was given up does not become whole")
    }

    @Test("A failed attempt leaves the request as it was, and nothing of the next one is sent yet")
    func again() {
        var phase = ExchangePhase(hasBody: true)
        phase.opened()
        phase.sent()
        #expect(phase.isSent)
        phase.attemptFailed()
        #expect(phase.attempt == .none && phase.request == .arriving && !phase.takesBody)
        phase.dialling()
        #expect(!phase.isSent)
        phase.opened()
        #expect(!phase.isSent && !phase.takesBody)
    }

    @Test("A request that is abandoned after it was whole stays whole")
    func abandonedTooLate() {
        var phase = ExchangePhase(hasBody: true)
        phase.opened()
        phase.sent()
        phase.requestEnded()
        phase.requestAbandoned()
        #expect(phase.request == .whole)
    }

    @Test("A tunnel is over when both directions have ended, in either order")
    func tunnel() {
        for first in [true, false] {
            var phase = ExchangePhase(hasBody: false)
            phase.opened()
            phase.sent()
            phase.switched()
            #expect(phase.isTunnel && !phase.isTunnelOver && phase.takesBody && !phase.isUnanswered)
            #expect(waits(phase) == [.tunnel, .tunnel, .tunnel, .tunnel])
            phase.tunnelEnded(byClient: first)
            #expect(phase.hasClientEnded == first && phase.hasEndpointEnded == !first && !phase.isTunnelOver)
            #expect(phase.takesBody == !first)
            #expect(waits(phase) == [.tunnel, .tunnel, .tunnel, .tunnel])
            phase.tunnelEnded(byClient: !first)
            #expect(phase.isTunnelOver && !phase.takesBody)
        }
    }

    /// Plays both ends at random, as the data plane drives the machine, and holds what must be true at every moment.
    @Test("Whatever the two ends do, an exchange ends, and never takes what has no place", arguments: 0..<400)
    func simulation(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        func chance(_ percent: Int) -> Bool { random.below(100) < percent }
        let hasBody = chance(60)
        var phase = ExchangePhase(hasBody: hasBody)
        if hasBody, chance(30) {
            phase.collect()
            if chance(50) { phase.requestEnded() }
            phase.collected()
        }
        var failures = 0
        var steps = 0
        while !phase.isComplete, !phase.isTunnelOver {
            steps += 1
            guard steps < 200 else {
                Issue.record("seed \(seed): does not end")
                return
            }
            // Something is always waited for, unless it is to be dispatched.
            let wait = phase.wait(clientHolds: chance(30), endpointHolds: chance(30))
            #expect(wait != .none || phase.attempt == .none, "seed \(seed): \(phase)")
            if phase.takesBody { #expect(phase.request == .arriving) }
            if phase.attempt == .none, phase.isUnanswered {
                if chance(30) { phase.queued() }
                if chance(50) {
                    phase.dialling()
                    if chance(20), failures < 3 {
                        failures += 1
                        phase.attemptFailed()
                        continue
                    }
                }
                phase.opened()
                #expect(!phase.takesBody)
                phase.sent()
                continue
            }
            if phase.isTunnel {
                if !phase.hasClientEnded, chance(30) { phase.tunnelEnded(byClient: true) }
                if !phase.hasEndpointEnded, chance(30) { phase.tunnelEnded(byClient: false) }
                continue
            }
            if phase.takesBody, chance(40) { phase.requestEnded() }
            switch phase.answer {
            case .none:
                if chance(15), failures < 3 {
                    failures += 1
                    phase.attemptFailed()
                } else if phase.request == .whole, chance(10) {
                    phase.switched()
                } else if chance(40) {
                    phase.answerBegan()
                }
            case .flowing: if chance(50) { phase.answerEnded() }
            case .whole: if chance(20) { phase.requestAbandoned() }
            case .tunnel: break
            }
        }
        #expect(phase.request != .arriving || phase.isTunnelOver)
    }
}
