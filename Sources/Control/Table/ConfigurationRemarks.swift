import Migration
import RoutesFile
import Traffic

/// What is no fault of a configuration and yet worth a warning.
package enum ConfigurationRemarks {
    /// Of routes that ask for passwords: what a check costs, and where one is sent in the clear.
    private static func passwords(_ configuration: BalancerConfiguration) -> [ControlProblem] {
        let plain = Set(configuration.listeners.lazy.filter { $0.tls == nil }.map(\.name))
        let isSecure = plain.count < configuration.listeners.count
        var warnings: [ControlProblem] = []
        for (place, route) in configuration.table.routes.enumerated() {
            guard let spec = route.basicAuth else { continue }
            let path = "$.routes[\(place)].basicAuth"
            let costs = spec.allUsers.map { (name: $0.name, cost: PasswordForm.milliseconds(of: $0.hash) ?? 0) }
            let slow = costs.filter { $0.cost > PasswordForm.slow }
            if let worst = slow.max(by: { $0.cost < $1.cost }) {
                warnings.append(
                    ControlProblem(
                        path: path,
                        message: "a look at the password of \(worst.name) takes about \(worst.cost) ms of a processor"
                            + (slow.count > 1 ? ", and \(slow.count - 1) others are slow too" : "")))
            }
            let reach = route.match.listeners.isEmpty ? plain : plain.intersection(route.match.listeners)
            if isSecure, let listener = reach.min() {
                warnings.append(
                    ControlProblem(
                        path: path,
                        message: "passwords come in the clear over the listener \"\(listener)\": "
                            + "let \"match\" ask for the one with TLS"))
            }
        }
        return warnings
    }

    /// `workers`: those of a process that is started without `--workers`.
    package static func warnings(
        _ configuration: BalancerConfiguration, workers: Int = 1
    ) -> [ControlProblem] {
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
        for upstream in configuration.table.upstreams
        where upstream.speaks != .http1 && (1..<workers).contains(Int(upstream.maxConnections)) {
            warnings.append(
                ControlProblem(
                    path: RoutesFile.path(ofUpstream: upstream.name) + ".maxConnections",
                    message: "each of \(workers) workers carries its requests over connections of its own: while the "
                        + "\(upstream.maxConnections) of an endpoint are busy, those of other workers wait"))
        }
        return warnings + self.unfitForGRPC(configuration) + self.passwords(configuration)
            + self.forms(configuration) + self.plans(configuration)
    }

    /// Of plans: four eyes that nothing tells apart.
    private static func plans(_ configuration: BalancerConfiguration) -> [ControlProblem] {
        let hasTokens = configuration.admin.map { !$0.tokens.isEmpty || $0.tokensFile != nil } ?? false
        var warnings: [ControlProblem] = []
        for (place, plan) in configuration.migrations.map(\.plan).enumerated() {
            if plan.fourEyes, !hasTokens {
                warnings.append(
                    ControlProblem(
                        path: "$.migrations[\(place)].fourEyes",
                        message: "without $.admin.tokens people are told apart by addresses, which proves little"))
            }
        }
        return warnings
    }

    /// Routes that are for gRPC, by their match, before upstreams that cannot carry it.
    private static func unfitForGRPC(_ configuration: BalancerConfiguration) -> [ControlProblem] {
        let plain = Set(configuration.table.upstreams.filter { $0.speaks == .http1 }.map(\.name))
        var warnings: [ControlProblem] = []
        for route in configuration.table.routes {
            guard case .split(let entries) = route.action,
                route.match.headers.contains(where: { header in
                    header.name == "content-type" && header.value?.hasPrefix("application/grpc") ?? false
                })
            else { continue }
            for entry in entries where plain.contains(entry.upstream) {
                warnings.append(
                    ControlProblem(
                        path: RoutesFile.path(ofUpstream: entry.upstream),
                        message: "speaks HTTP/1.1, and route \"\(route.name)\" is for gRPC, which needs HTTP/2: "
                            + "say \"protocol\": \"http2\", or every request gets 502"))
            }
        }
        return warnings
    }

    /// Of routes that compress: caches that are not told so give one client another's form.
    private static func forms(_ configuration: BalancerConfiguration) -> [ControlProblem] {
        configuration.table.routes.enumerated().compactMap { place, route in
            let edits = route.responseHeaders
            let replaced = edits.set.first { $0.name.lowercased() == "vary" }
            guard route.compression != nil, replaced != nil || edits.remove.contains("vary") else { return nil }
            let names = (replaced?.value.lowercased() ?? "").split { $0 == "," || $0 == " " }
            guard !names.contains("accept-encoding"), !names.contains("*") else { return nil }
            return ControlProblem(
                path: "$.routes[\(place)].responseHeaders",
                message: "takes away the Vary that \"compression\" adds: caches may give one client another's form")
        }
    }
}

extension AddressBlock {
    /// All of IPv4, or of IPv6.
    fileprivate var isEverybody: Bool { self.prefixLength == 0 || self.base.isV4 && self.prefixLength == 96 }
}
