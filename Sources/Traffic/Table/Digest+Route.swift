extension RouteAction: Digestible {
    func add(to digest: inout Digest) {
        switch self {
        case .split(let entries):
            digest.add(0 as UInt64)
            digest.add(entries)
        case .redirect(let redirect):
            digest.add(1 as UInt64)
            digest.add(redirect)
        case .respond(let status):
            digest.add(2 as UInt64)
            digest.add(UInt64(status))
        }
    }
}

extension SplitEntry: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.upstream)
        digest.add(self.weight)
    }
}

extension RedirectSpec: Digestible {
    func add(to digest: inout Digest) {
        digest.add(UInt64(self.status))
        digest.add(self.scheme)
        digest.add(self.host)
        digest.add(self.path)
    }
}

extension MatchSpec: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.hosts)
        digest.add(self.paths)
        digest.add(self.methods)
        digest.add(self.listeners)
        digest.add(self.headers)
        digest.add(self.ignoreCase)
        digest.add(self.normalise)
    }
}

extension HostPattern: Digestible {
    func add(to digest: inout Digest) {
        switch self {
        case .exact(let host):
            digest.add(0 as UInt64)
            digest.add(host)
        case .suffix(let suffix):
            digest.add(1 as UInt64)
            digest.add(suffix)
        }
    }
}

extension PathPattern: Digestible {
    func add(to digest: inout Digest) {
        switch self {
        case .exact(let path):
            digest.add(0 as UInt64)
            digest.add(path)
        case .prefix(let path):
            digest.add(1 as UInt64)
            digest.add(path)
        }
    }
}

extension HeaderMatch: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.name)
        digest.add(self.value)
    }
}

extension OverrideSpec: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.header)
        digest.add(self.trustedOnly)
        digest.add(self.trusted)
    }
}

extension PathRewrite: Digestible {
    func add(to digest: inout Digest) {
        switch self {
        case .keep: digest.add(0 as UInt64)
        case .strip(let prefix):
            digest.add(1 as UInt64)
            digest.add(prefix)
        case .replace(let prefix, let replacement):
            digest.add(2 as UInt64)
            digest.add(prefix)
            digest.add(replacement)
        }
    }
}

extension HostRewrite: Digestible {
    func add(to digest: inout Digest) {
        switch self {
        case .keep: digest.add(0 as UInt64)
        case .literal(let text):
            digest.add(1 as UInt64)
            digest.add(text)
        case .endpoint: digest.add(2 as UInt64)
        }
    }
}

extension HeaderEdits: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.set)
        digest.add(self.remove)
    }
}

extension HeaderSetting: Digestible {
    func add(to digest: inout Digest) {
        digest.add(self.name)
        digest.add(self.value)
    }
}
