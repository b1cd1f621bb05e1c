import Testing

@testable import Proxy

@Suite("What copies may take") struct MirrorLimitTests {
    @Test(
        "A thirty-second part of the descriptors, within bounds",
        arguments: [(64, 8), (256, 8), (1_024, 32), (65_536, 2_048), (1_048_576, 4_096), (Int.max, 4_096)])
    func connections(descriptors: Int, limit: Int) {
        #expect(MirrorCore.openLimit(descriptors: descriptors) == limit)
    }
}
