import Testing

@testable import Proxy

@Suite("What copies may take") struct MirrorLimitTests {
    @Test(
        "A thirty-second part of the descriptors, within bounds",
        arguments: [(64, 8), (256, 8), (1_024, 32), (65_536, 2_048), (1_048_576, 4_096), (Int.max, 4_096)])
    func connections(descriptors: Int, limit: Int) {
        #expect(MirrorCore.openLimit(descriptors: descriptors) == limit)
    }

    @Test(
        "Clients, their endpoints, copies and all that the process needs for itself have room together",
        arguments: [512, 1_024, 4_096, 65_536, 1_048_576], [1, 2, 16])
    func together(descriptors: Int, workers: Int) {
        let clients = Admission.ceiling(descriptors: descriptors, workers: workers)
        let copies = MirrorCore.openLimit(descriptors: descriptors)
        let own = 128 + 8 * workers
        #expect(
            2 * clients + copies + own <= descriptors || (clients == descriptors / 4 && own + copies > descriptors / 2))
        #expect(2 * (clients + 1) + copies + own > descriptors, "none is left unused")
    }
}
