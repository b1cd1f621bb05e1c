/// What one worker remembers of successes, so that a request whose credentials are known takes no lock. Of fixed size; what
/// gives way is still known to `CredentialChecks`.
struct RememberedCredentials {
    private static let setCount = 256
    private static let setSize = 4

    private struct Entry {
        var code: CredentialCode
        var until: UInt64
    }

    /// Made with the first one.
    private var entries: ContiguousArray<Entry> = []

    private static func first(_ code: CredentialCode) -> Int {
        Int(truncatingIfNeeded: code[0] & UInt64(Self.setCount - 1)) * Self.setSize
    }

    func contains(_ code: CredentialCode, now: UInt64) -> Bool {
        guard !self.entries.isEmpty else { return false }
        let first = Self.first(code)
        for place in first..<first + Self.setSize
        where self.entries[place].until > now && self.entries[place].code == code {
            return true
        }
        return false
    }

    mutating func insert(_ code: CredentialCode, until: UInt64) {
        if self.entries.isEmpty {
            self.entries = ContiguousArray(
                repeating: Entry(code: CredentialCode(), until: 0), count: Self.setCount * Self.setSize)
        }
        let first = Self.first(code)
        var victim = first
        for place in first..<first + Self.setSize {
            if self.entries[place].code == code {
                victim = place
                break
            }
            if self.entries[place].until < self.entries[victim].until { victim = place }
        }
        self.entries[victim] = Entry(code: code, until: until)
    }
}
