/// The programme's public list of candidates: a JSON object with one array of candidates.
package enum CandidatesFile {
    package struct Problem: Error, Equatable, Sendable {
        /// JSON path of the fault.
        package let path: String
        package let message: String
    }

    /// Reads the file's text.
    ///
    /// - Throws: ``JSONSyntaxError`` or ``Problem``.
    package static func parse(_ bytes: [UInt8]) throws -> [SampleCandidate] {
        let root = try JSONParser.parse(bytes)
        guard case .array(let entries) = root[key: "candidates"] else {
            throw Problem(path: "$.candidates", message: "expected an array")
        }
        return try entries.enumerated().map { index, entry in
            func required(_ key: String) throws -> JSONValue {
                guard let value = entry[key: key] else {
                    throw Problem(path: "$.candidates[\(index)].\(key)", message: "missing")
                }
                return value
            }
            guard let name = try required("name").string else {
                throw Problem(path: "$.candidates[\(index)].name", message: "expected text")
            }
            guard let stash = try required("stash").string else {
                throw Problem(path: "$.candidates[\(index)].stash", message: "expected text")
            }
            guard let number = try required("slotId").number, let slot = Int(exactly: number) else {
                throw Problem(path: "$.candidates[\(index)].slotId", message: "expected an integer")
            }
            let handles: [String] =
                switch entry[key: "riotHandle"] {
                case .string(let handle): [handle]
                case .array(let list): list.compactMap(\.string)
                default: []
                }
            return SampleCandidate(
                slotId: slot, name: name, stash: stash, kusamaStash: entry[key: "kusamaStash"]?.string ?? "",
                kyc: entry[key: "kyc"]?.bool ?? false, skipSelfStake: entry[key: "skipSelfStake"]?.bool ?? false,
                handles: handles)
        }
    }
}
