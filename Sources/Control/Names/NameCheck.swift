import Reactor
import RoutesFile
import Traffic

/// What an operator should know of a good configuration's host names before a balancer loads it.
package enum NameCheck {
    /// Looks all names up beside each other and tells of those that bring nothing, or nothing new. Takes as long as the
    /// name service does.
    package static func warnings(
        _ configuration: BalancerConfiguration, resolver: HostResolver = .system, threads: BlockingThreads
    ) async -> [ControlProblem] {
        var names = ResolvedNames()
        await withTaskGroup(of: (String, Result<[IPAddress], LookUpFailure>).self) { group in
            for host in configuration.table.hostNames {
                group.addTask {
                    let outcome = await threads.run {
                        Result { () throws(LookUpFailure) in try resolver.addresses(of: host) }
                    }
                    return (host, outcome)
                }
            }
            for await (host, outcome) in group { _ = names.put(outcome, host: host) }
        }
        var spec = configuration.table
        var problems = names.fill(&spec, listeners: configuration.listeners).map { endpoint in
            Self.warning(endpoint.upstream, endpoint.name, "\"\(endpoint.name.host)\": \(endpoint.reason)")
        }
        for upstream in configuration.table.upstreams {
            var owners = Dictionary(
                upstream.endpoints.map { ($0, "\($0)") }, uniquingKeysWith: { first, _ in first })
            for name in upstream.names {
                for address in names.addresses(of: name) {
                    if let owner = owners[address], owner != "\(name)" {
                        problems.append(
                            Self.warning(upstream.name, name, "the endpoint \(address) is also given as \"\(owner)\""))
                    }
                    owners[address] = owners[address] ?? "\(name)"
                }
            }
        }
        return problems
    }

    private static func warning(_ upstream: String, _ name: EndpointName, _ message: String) -> ControlProblem {
        ControlProblem(path: RoutesFile.path(ofEndpoint: name.position, upstream: upstream), message: message)
    }
}
