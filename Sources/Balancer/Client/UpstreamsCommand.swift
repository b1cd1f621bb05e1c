import ArgumentParser
import Control

struct UpstreamsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upstreams", abstract: "Shows the endpoints, their state and the reason for it.")

    @OptionGroup var admin: AdminOptions

    func run() async throws {
        let client = AdminClient(options: self.admin)
        let data = try await client.get("/api/v1/upstreams")
        try client.show(data, as: UpstreamsBody.self) { body in
            var table = TextTable(
                "UPSTREAM", "ENDPOINT", "STATE", "SET", "SINCE", "OUTSTANDING", "REQUESTS", "PROTOCOL", "LAST PROBE",
                "REASON")
            for upstream in body.upstreams {
                for endpoint in upstream.endpoints {
                    let probe = endpoint.probes.last.map { "\($0.cause) \($0.microseconds / 1_000)ms" } ?? "-"
                    table.add(
                        upstream.name, endpoint.address, endpoint.availability, endpoint.administrative,
                        endpoint.since, "\(endpoint.outstanding)", "\(endpoint.requests)", endpoint.protocol ?? "-",
                        probe, endpoint.reason)
                }
                for endpoint in upstream.unresolved ?? [] {
                    table.add(
                        upstream.name, endpoint.endpoint, "unresolved", "-", "-", "-", "-", "-", "-", endpoint.reason)
                }
            }
            Output.line(table.render())
            for upstream in body.upstreams {
                for endpoint in upstream.endpoints {
                    guard let failure = endpoint.tlsFailure else { continue }
                    let line =
                        "\(upstream.name): \(endpoint.address): the last TLS handshake that failed, \(failure.at): "
                    Output.line((line + failure.cause).visible)
                }
            }
            for upstream in body.upstreams {
                guard let discovery = upstream.discovery else { continue }
                Output.line(Self.line(upstream.name, discovery).visible)
            }
        }
    }

    /// `gateway: dns gateway.default:3301, last found 2026-01-02T03:04:05.000Z` and what is wrong, if something is.
    private static func line(_ upstream: String, _ discovery: DiscoveryBody) -> String {
        var line = "\(upstream): \(discovery.source), "
        line += discovery.lastSuccess.map { "last found \($0)" } ?? "nothing found yet"
        if discovery.stale { line += ", stale" + (discovery.reason.isEmpty ? "" : ": \(discovery.reason)") }
        return line
    }
}
