@testable import Control
import Glibc
import Synchronization
import TestSupport
import Testing
import Traffic

@testable import Reactor

/// What is logged: at which level, in which words, with which fields.
@Suite("Lines of the log") struct LogLineTests {
    @Test("An endpoint that probes take down or bring back, and one that is this process") func probes() async {
        let log = RecordedLog()
        let transport = FakeProbeTransport()
        let registry = EndpointRegistry()
        let monitor = HealthMonitor(transport: transport, clock: ManualClock().clock, seed: 1, logger: log.logger)
        let table = RoutingTable(spec: Sample.table(), generation: 1, registry: registry)
        await monitor.apply(table)
        let key = EndpointKey(upstream: "core", address: Sample.address(3300))
        transport.answer(key.address, .complete, "HTTP/1.1 503 No\r\n\r\n")
        await monitor.probe(key)
        transport.answer(key.address, .complete, "HTTP/1.1 204 No Content\r\n\r\n")
        for _ in 0..<2 { await monitor.probe(key) }
        #expect(await monitor.records[key]?.lastMicroseconds == 1_500)
        for _ in 0..<2 {
            registry.refuse(OwnAddresses(listeners: [key.address]))
            await monitor.apply(table)
        }
        registry.refuse(OwnAddresses())
        await monitor.apply(table)
        registry.refuse(OwnAddresses(listeners: [key.address]))
        await monitor.apply(table)
        let refused =
            "error an endpoint is a listener of this balancer itself, nothing is sent there endpoint=127.0.0.1:3300 "
            + "upstream=core"
        #expect(
            log.lines == [
                "notice endpoint is down cause=status endpoint=127.0.0.1:3300 status=503 upstream=core",
                "notice endpoint is up cause=ok endpoint=127.0.0.1:3300 status=204 upstream=core", refused, refused,
            ])
    }

    @Test("What is in a configuration's place") func places() throws {
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let path = folder + "/routes.json"
        #expect(ConfigurationFile.read(path) == .missing && ConfigurationFile.mayChange(path))
        #expect(ConfigurationFile.read(folder) == .unreadable("it is a directory"))
        #expect(ConfigurationFile.mayChange(folder))
        #expect(ConfigurationFile.read("/dev/null") == .unreadable("it is not a file"))
        #expect(!ConfigurationFile.mayChange("/dev/null"))
        #expect(mkfifo(path, 0o600) == 0)
        #expect(ConfigurationFile.read(path) == .unreadable("it is a pipe, which is read at the start only"))
        #expect(!ConfigurationFile.mayChange(path))
        let file = folder + "/file"
        let descriptor = creat(file, 0o600)
        #expect(descriptor >= 0)
        #expect(ConfigurationFile.read(file) == .empty)
        #expect(write(descriptor, "{}", 2) == 2)
        close(descriptor)
        #expect(ConfigurationFile.read(file) == .bytes(Array("{}".utf8)) && ConfigurationFile.mayChange(file))
    }
}
