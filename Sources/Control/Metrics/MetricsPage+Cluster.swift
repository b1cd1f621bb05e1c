extension MetricsPage {
    func writeCluster(_ text: inout MetricsText) {
        guard let cluster = self.cluster else { return }
        text.single(.clusterReachable, cluster.isReachable ? 1 : 0)
        text.single(.clusterLeader, cluster.leads ? 1 : 0)
        text.single(.clusterReplicas, UInt64(cluster.present))
        text.single(.clusterReplicasDiffering, UInt64(cluster.differing))
        text.family(.clusterLag)
        text.sample(.clusterLag, [], "\(Double(cluster.lag) / 1_000)")
        text.single(.clusterConflicts, cluster.conflicts)
    }
}
