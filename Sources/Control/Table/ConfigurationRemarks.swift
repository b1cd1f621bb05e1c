import RoutesFile
import Traffic

/// What is no fault of a configuration and yet worth a warning.
package enum ConfigurationRemarks {
    package static func warnings(_ configuration: BalancerConfiguration) -> [ControlProblem] {
        var warnings: [ControlProblem] = []
        for (place, listener) in configuration.listeners.enumerated() {
            guard let spec = listener.proxyProtocol, spec.from.contains(where: \.isEverybody) else { continue }
            warnings.append(
                ControlProblem(
                    path: "$.listeners[\(place)].proxyProtocol.from",
                    message: "whoever reaches the listener may claim any address: name the proxies in front"))
        }
        for upstream in configuration.table.upstreams where upstream.sendProxyProtocol > 0 {
            warnings.append(
                ControlProblem(
                    path: RoutesFile.path(ofUpstream: upstream.name) + ".sendProxyProtocol",
                    message: "a connection tells of one client, so none is shared: each client opens its own"))
        }
        return warnings
    }
}

extension AddressBlock {
    /// All of IPv4, or of IPv6.
    fileprivate var isEverybody: Bool { self.prefixLength == 0 || self.base.isV4 && self.prefixLength == 96 }
}
