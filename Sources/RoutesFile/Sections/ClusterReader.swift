import JSONText

/// Reads where replicas agree.
enum ClusterReader {
    static func read(_ node: Node) -> ClusterSpec? {
        guard let section = node.section(.cluster) else { return nil }
        // The longest object that is named after it has `-journal` behind it, and a label 63 bytes.
        let name = section.required("name")?.label("a name of small letters, digits and - inside")
        if let name, name.utf8.count > 40 { section["name"]?.fail("expected at most 40 bytes") }
        let given = ["etcd", "kubernetes"].compactMap { key in section[key].map { (key, $0) } }
        guard let (key, node) = given.first, given.count == 1 else {
            section.fail("expected \"etcd\" or \"kubernetes\"" + (given.isEmpty ? "" : ", not both"))
            return nil
        }
        let engine: ClusterSpec.Engine? =
            key == "etcd" ? self.etcd(node).map { .etcd($0) } : self.kubernetes(node).map { .kubernetes($0) }
        guard let name, let engine else { return nil }
        return ClusterSpec(name: name, engine: engine)
    }

    private static func etcd(_ node: Node) -> EtcdSpec? {
        guard let section = node.section(.clusterEtcd) else { return nil }
        let endpoints = section.required("endpoints")?.elements(
            "a list of URLs such as [\"https://10.0.0.5:2379\"]", minimum: 1, maximum: 16)?
            .compactMap { $0.serverURL() }
        var spec = EtcdSpec(endpoints: endpoints ?? [])
        section.read("caFile", into: &spec.caFile) { $0.filePath(limit: 4_095) }
        section.read("user", into: &spec.user) { node in
            node.parsed("a name of 1 to 256 bytes") { (1...256).contains($0.utf8.count) ? $0 : nil }
        }
        section.read("passwordFile", into: &spec.passwordFile) { $0.filePath(limit: 4_095) }
        if section.has("user") != section.has("passwordFile") {
            section.fail("\"user\" and \"passwordFile\" go together")
        }
        return spec
    }

    private static func kubernetes(_ node: Node) -> KubernetesSpec? {
        guard let section = node.section(.clusterKubernetes) else { return nil }
        var spec = KubernetesSpec()
        section.read("namespace", into: &spec.namespace) { $0.label("the name of a namespace") }
        section.read("server", into: &spec.server) { $0.serverURL() }
        section.read("tokenFile", into: &spec.tokenFile) { $0.filePath(limit: 4_095) }
        section.read("caFile", into: &spec.caFile) { $0.filePath(limit: 4_095) }
        return spec
    }
}
