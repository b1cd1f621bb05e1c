import TestSupport
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

    @Test("Connections that have ended take no room: more copies than may be open at once, each by its own")
    func ended() async throws {
        let old = try ScriptedUpstream.plain("x")
        let new = try ScriptedUpstream.answering { _, _ in
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"
        }
        let rig = try await MirrorRig(old.port, new.port)
        let connection = try RawConnection(port: rig.port)
        var reader = MessageReader(connection)
        let batch = 8
        let batches = MirrorCore.openLimit() / batch + 4
        for number in 1...batches {
            for _ in 0..<batch {
                connection.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
                _ = try reader.message()
            }
            try rig.awaitPairs(number * batch)
        }
        #expect(new.connections == batches * batch && rig.allDropped == 0)
    }
}
