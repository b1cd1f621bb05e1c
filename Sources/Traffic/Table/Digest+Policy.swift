extension AccessSpec: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.allow != nil)
        digest.add(self.allow ?? [])
        digest.add(self.deny)
    }
}

extension RateLimitSpec: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.name)
        digest.add(self.key)
        digest.add(self.rate.interval)
        digest.add(self.rate.burst)
        digest.add(UInt64(self.ipv4Prefix))
        digest.add(UInt64(self.ipv6Prefix))
        digest.add(self.entries)
        digest.add(self.telling)
        digest.add(self.dryRun)
        digest.add(self.except)
    }
}

extension RateLimitSpec.Telling: Digestible {
    func add(to digest: inout Digest) {
        switch self {
        case .never: digest.add(0 as UInt64)
        case .refusals: digest.add(1 as UInt64)
        case .always: digest.add(2 as UInt64)
        }
    }
}

extension RateKey: Digestible {
    func add(to digest: inout Digest) {
        switch self {
        case .clientAddress: digest.add(0 as UInt64)
        case .header(let name):
            digest.add(1 as UInt64)
            digest.add(name)
        case .cookie(let name):
            digest.add(2 as UInt64)
            digest.add(name)
        case .all: digest.add(3 as UInt64)
        case .user: digest.add(4 as UInt64)
        }
    }
}

extension BasicAuthSpec: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.realm)
        digest.add(self.users)
        digest.add(self.file)
        digest.add(self.forwards)
        digest.add(self.userHeader)
    }
}

extension UserSpec: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.name)
        digest.add(self.hash)
    }
}

extension CompressionSpec: Digestible {
    func add(to digest: inout Digest) {
        digest.add(UInt64(self.algorithms.count))
        for coding in self.algorithms { digest.add(UInt64(coding.rawValue)) }
        digest.add(self.minimum)
        digest.add(self.types)
        digest.add(self.credentials)
        digest.add(self.level.map { UInt64($0) + 1 } ?? 0)
    }
}
