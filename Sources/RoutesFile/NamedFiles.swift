import Traffic

/// What a file that routes.json names is for.
package enum NamedFileUse: Sendable, Equatable {
    case certificate, key, staple, authorities, revoked, ticketKey, users
}

extension BalancerConfiguration {
    /// Visits every file that the configuration names, with the JSON path of the name.
    package mutating func visitFiles(_ visit: (_ path: String, _ use: NamedFileUse, _ file: inout NamedFile) -> Void) {
        self.admin.visit { admin in
            admin.tls.visit { tls in
                visit("$.admin.tls.certificate", .certificate, &tls.chain)
                visit("$.admin.tls.key", .key, &tls.key)
            }
        }
        for index in self.listeners.indices {
            self.listeners[index].tls?.visitFiles("$.listeners[\(index)].tls", visit)
        }
        for index in self.table.upstreams.indices {
            let path = Node.path("$.upstreams", self.table.upstreams[index].name) + ".tls"
            self.table.upstreams[index].tls?.visitFiles(path, visit)
        }
        for index in self.table.routes.indices {
            self.table.routes[index].basicAuth?.file.visit {
                visit("$.routes[\(index)].basicAuth.usersFile", .users, &$0)
            }
        }
    }
}

extension ListenerTLS {
    mutating func visitFiles(_ path: String, _ visit: (String, NamedFileUse, inout NamedFile) -> Void) {
        for index in self.certificates.indices {
            let path = "\(path).certificates[\(index)]"
            visit(path + ".certificate", .certificate, &self.certificates[index].chain)
            visit(path + ".key", .key, &self.certificates[index].key)
            self.certificates[index].ocsp.visit { visit(path + ".ocsp", .staple, &$0) }
        }
        for index in self.tickets?.keys.indices ?? 0..<0 {
            self.tickets.visit { visit("\(path).tickets.keyFiles[\(index)]", .ticketKey, &$0.keys[index]) }
        }
        self.clientCertificates.visit { clients in
            visit(path + ".clientCertificates.ca", .authorities, &clients.authorities)
            clients.revoked.visit { visit(path + ".clientCertificates.crl", .revoked, &$0) }
        }
    }
}

extension UpstreamTLS {
    mutating func visitFiles(_ path: String, _ visit: (String, NamedFileUse, inout NamedFile) -> Void) {
        self.authorities.visit { visit(path + ".ca", .authorities, &$0) }
        self.chain.visit { visit(path + ".certificate", .certificate, &$0) }
        self.key.visit { visit(path + ".key", .key, &$0) }
    }
}

extension Optional {
    /// Changes what is there, in place.
    fileprivate mutating func visit(_ body: (inout Wrapped) -> Void) {
        guard var value = self else { return }
        body(&value)
        self = value
    }
}
