import JSONText

extension [JSONStep] {
    /// Bytes of a name, and about as many of a path, that are shown: names come from whoever answers.
    private static var nameLimit: Int { 128 }
    private static var pathLimit: Int { 512 }

    /// RFC 9535 §2.7, with `.name` where a name allows it. Indices as `[*]` for a class, or as they are.
    /// Names from that place on are `[*]`.
    func path(indices: Bool, coveredFrom place: Int = .max) -> String {
        var text = "$"
        for (position, step) in self.enumerated() {
            guard text.utf8.count <= Self.pathLimit else { return text + "…" }
            switch step {
            case .name where position >= place: text += "[*]"
            case .index(let index): text += indices ? "[\(index)]" : "[*]"
            case .name(let whole):
                let name = Redaction.cut(whole, at: Self.nameLimit)
                let first = name.utf8.first.map { $0 > 0x39 || $0 < 0x30 } ?? false
                let isPlain =
                    first
                    && name.utf8.allSatisfy { byte in
                        (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte)
                            || byte == UInt8(ascii: "_") || byte >= 0x80
                    }
                text += isPlain ? "." + name : "['" + Self.escaped(name) + "']"
            }
        }
        return text
    }

    private static func escaped(_ name: String) -> String {
        var text = ""
        for character in name.unicodeScalars {
            if character == "'" || character == "\\" { text += "\\" }
            text.unicodeScalars.append(character)
        }
        return text
    }
}
