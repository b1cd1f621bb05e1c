/// Where the replicas of one service agree on what operators change.
package struct ClusterSpec: Sendable, Equatable {
    package enum Engine: Sendable, Equatable {
        case etcd(EtcdSpec)
        case kubernetes(KubernetesSpec)
    }

    /// Of the service: replicas with the same one share their live state. A DNS label, since objects are named after it.
    package var name: String
    package var engine: Engine

    package init(name: String, engine: Engine) {
        self.name = name
        self.engine = engine
    }
}

/// An etcd cluster, by its JSON gateway.
package struct EtcdSpec: Sendable, Equatable {
    /// URLs without a path, asked in turn; at least one.
    package var endpoints: [String]
    /// PEM file with the only certificates that are trusted; nil: the system's.
    package var caFile: String?
    package var user: String?
    /// Whose first line is the password; there is one if there is a user.
    package var passwordFile: String?

    package init(endpoints: [String]) { self.endpoints = endpoints }
}

/// A Kubernetes API; what is nil, a pod finds in its environment and its service account.
package struct KubernetesSpec: Sendable, Equatable {
    package var namespace: String?
    /// URL without a path.
    package var server: String?
    package var tokenFile: String?
    package var caFile: String?

    package init() {}
}
