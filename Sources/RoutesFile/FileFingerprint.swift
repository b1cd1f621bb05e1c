import JSONText

/// What tells whether two files mean the same traffic: what may differ between machines (addresses of this process, logs, paths)
/// is left out.
enum FileFingerprint {
    private static let own: Set<String> = [
        "$schema", "listeners", "admin", "accessLog", "operationalLog", "workers", "batching", "takeover", "state",
        "cluster", "tracing",
    ]

    /// 16 digits. Members count in any order, numbers as they are written.
    static func of(_ document: JSONValue) -> String {
        guard case .object(let members) = document.content else { return "" }
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        // FNV-1a: it tells files apart that nobody has made to be alike.
        for byte in self.sorted(JSONValue(.object(members.filter { !self.own.contains($0.name) }))).bytes {
            hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
        }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    private static func sorted(_ value: JSONValue) -> JSONValue {
        switch value.content {
        case .array(let elements): JSONValue(.array(elements.map(self.sorted)))
        case .object(let members):
            JSONValue(
                .object(
                    members.map { JSONMember(name: $0.name, value: self.sorted($0.value)) }.sorted { $0.name < $1.name }
                ))
        case .null, .bool, .number, .string: value
        }
    }
}
