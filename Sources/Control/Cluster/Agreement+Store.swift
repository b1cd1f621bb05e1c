import Logging
import RoutesFile

extension Agreement {
    /// The agreement of a process that is called `replica` among those of a cluster.
    package init(_ spec: ClusterSpec, replica: String, logger: Logger?) {
        let store: any ClusterStore =
            switch spec.engine {
            case .etcd(let etcd): EtcdStore(etcd, cluster: spec.name, replica: replica)
            case .kubernetes(let kubernetes): KubernetesStore(kubernetes, cluster: spec.name, replica: replica)
            }
        self.init(
            store: store, name: spec.name, replica: replica,
            instance: String(UInt64.random(in: .min ... .max), radix: 16), logger: logger)
    }
}
