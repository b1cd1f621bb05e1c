/// Where an upstream's endpoints are learned from while the process runs. Part of the upstream's specification, so a
/// table says both what was asked for and what was found.
package enum DiscoverySpec: Sendable, Hashable {
    /// A and AAAA records of a name; every address is an endpoint on `port`.
    case dns(NameLookup, port: UInt16)
    /// SRV records (RFC 2782) of a name, and the addresses of their targets.
    case srv(NameLookup)
    /// EndpointSlices of a Kubernetes Service, watched.
    case endpointSlices(EndpointSliceLookup)
}

/// A name to be asked for again and again.
package struct NameLookup: Sendable, Hashable {
    /// Without a final dot it is subject to the search list of resolv.conf, unless `resolver` is given.
    package var name: String
    /// Milliseconds between two look-ups. The records' own time to live is not looked at: the operator says how old an
    /// answer may get.
    package var interval: UInt32 = 5_000
    /// nil: the name servers of /etc/resolv.conf.
    package var resolver: SocketAddress?
    /// Milliseconds for which the last good answer stays in use while no newer one comes; nil: without bound.
    package var staleFor: UInt32?

    package init(name: String) { self.name = name }
}

package struct EndpointSliceLookup: Sendable, Hashable {
    package enum Port: Sendable, Hashable {
        /// Of a port of the slices.
        case name(String)
        /// Of the pods.
        case number(UInt16)
    }

    package var service: String
    /// nil: the one that the process runs in.
    package var namespace: String?
    package var port: Port
    /// `http://…` or `https://…` without a path; nil: the API server of the cluster that the process runs in.
    package var server: String?
    /// Read again for each request, because clusters replace tokens. nil: the pod's own.
    package var tokenFile: String?
    /// nil: the pod's own.
    package var caFile: String?

    package init(service: String, port: Port) {
        self.service = service
        self.port = port
    }
}

extension DiscoverySpec {
    /// Milliseconds; nil: without bound. A watch of EndpointSlices has none.
    package var staleFor: UInt32? {
        switch self {
        case .dns(let lookup, _), .srv(let lookup): lookup.staleFor
        case .endpointSlices: nil
        }
    }
}

extension DiscoverySpec: CustomStringConvertible {
    /// In one line, for operators.
    package var description: String {
        switch self {
        case .dns(let lookup, let port): "dns \(lookup.name):\(port)"
        case .srv(let lookup): "srv \(lookup.name)"
        case .endpointSlices(let lookup):
            "endpointSlices \(lookup.namespace.map { "\($0)/" } ?? "")\(lookup.service):\(lookup.port)"
        }
    }
}

extension EndpointSliceLookup.Port: CustomStringConvertible {
    package var description: String {
        switch self {
        case .name(let name): name
        case .number(let number): "\(number)"
        }
    }
}
