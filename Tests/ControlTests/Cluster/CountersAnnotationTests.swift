@testable import Control
import JSONText
import Testing

/// What the processes of one replica have told, in the room that the API server gives it.
@Suite("Counters in an annotation") struct CountersAnnotationTests {
    private static func sample(_ instance: String, classes: Int = 0, kinds: Int = 10) throws
        -> CountersAnnotation.Sample
    {
        var sample = PlanSample(replica: "a", instance: instance, fingerprint: "f")
        sample.lastNeed = 5
        sample.routes["api"] = PlanSample.Arms(to: PlanSample.Side(n: 10, errors: 1))
        sample.classes = (0..<classes).map {
            .init(
                number: "d-\($0)", position: 1, confirmed: 0, rechecks: 0, repeated: 0, real: false, accepted: false)
        }
        sample.retirement = RetirementSample()
        sample.retirement?.kinds = (0..<kinds).map {
            .init(route: "api", template: "/\($0)", last: 1, answered: 0, compared: 0)
        }
        return ("move.1.\(instance)", try JSONReader.read(sample.text))
    }

    private static func read(_ samples: [CountersAnnotation.Sample]) throws -> [PlanSample] {
        try samples.map { try #require(PlanSample($0.value.bytes)) }
    }

    @Test("Of earlier processes stays what they counted, without their lists")
    func earlier() throws {
        let samples = try Self.read(
            CountersAnnotation.samples(
                told: [try Self.sample("2")], earlier: [try Self.sample("0", classes: 3), try Self.sample("1")]))
        #expect(samples.map(\.instance) == ["0", "1", "2"] && samples.allSatisfy { $0.newSamples == 10 })
        #expect(samples.map { $0.retirement?.kinds.count } == [nil, nil, 10])
        #expect(samples.map(\.lastNeed) == [5, 5, 5] && samples[0].classes?.count == 3)
    }

    @Test(
        "However often it began anew, it fits: lists give way first, then whoever is gone, what this process counted never"
    )
    func limit() throws {
        func samples(_ earlier: Int, limit: Int) throws -> [PlanSample] {
            let samples = CountersAnnotation.samples(
                told: [try Self.sample("z", classes: 20)],
                earlier: try (0..<earlier).map { try Self.sample("\($0)", classes: 20) }, limit: limit)
            #expect(JSONValue.object(samples.map { ($0.name, $0.value) }).bytes.count <= limit)
            return try Self.read(samples)
        }
        let lists = try samples(9, limit: 15_000)
        #expect(lists.count == 10 && lists.last?.retirement != nil && lists.last?.classes?.count == 20)
        #expect(lists.count { $0.classes == nil } > 0)
        let counts = try samples(9, limit: 4_000)
        #expect(counts.count < 10 && counts.last?.instance == "z" && counts.last?.retirement == nil)
        #expect(counts.last?.classes?.count == 20)
        let own = try samples(9, limit: 500)
        #expect(own.map(\.instance) == ["z"] && own[0].classes == nil && own[0].newSamples == 10)
    }
}
