import Glibc
import HTTPWire
import Reactor
import Traffic

extension Downstream {
    /// A body that came whole with its head is kept for a further attempt up to this size, head included.
    private static let replayLimit = 65_536

    /// Begins an exchange from a parsed head at the start of `bytes`. Answers how many bytes were used.
    func begin(_ head: RequestHead, in bytes: UnsafeMutableRawBufferPointer) -> Int {
        self.state = .exchange
        self.core.exchanges += 1
        let runtime = self.core.runtime
        self.prepareExchange(head, runtime: runtime)
        let source = UnsafeRawBufferPointer(bytes)
        self.exchange.kept.append(UnsafeRawBufferPointer(rebasing: source[0..<head.length]), pool: &self.core.buffers)

        if head.method == .connect {
            return self.refuse(.connectRefused, using: head.length)
        }
        let span = source.bindMemory(to: UInt8.self).span
        self.identifyClient(span)
        guard let index = self.match(head, span: span, table: runtime.table), index < runtime.routes.count else {
            return self.refuse(.noRoute, using: head.length)
        }
        let route = runtime.routes[index]
        self.exchange.route = route
        switch head.framing {
        case .none, .untilClose: break
        case .length(let length):
            guard length <= route.limits.body else { return self.refuse(.bodyTooLarge, using: head.length) }
            self.exchange.requestRemaining = length
            self.exchange.requestComplete = length == 0
        case .chunked:
            self.exchange.requestDecoder = ChunkedDecoder(
                extensionLimit: Int(route.limits.chunkExtensionBytes), trailerLimit: Int(route.limits.trailerBytes))
            self.exchange.requestComplete = false
        }
        if let redirect = route.redirect {
            self.replyRedirect(redirect, head: head, source: source)
            return self.usedByReply(head.length)
        }
        if route.respond != 0 {
            self.reply(.respond, status: route.respond)
            return self.usedByReply(head.length)
        }
        if head.wantsUpgrade { self.considerUpgrade(head, route: route, span: span) }
        self.findOverride(route, span: span)
        self.findStickyKey(route, span: span)
        self.keepBodyForReplay(head, bytes: source)
        return head.length + self.dispatchFirst(head, bytes: bytes)
    }

    private func prepareExchange(_ head: RequestHead, runtime: TableRuntime) {
        self.exchange.kept.clear(pool: &self.core.buffers)
        self.exchange = Exchange()
        self.exchange.runtime = runtime
        self.exchange.method = head.method
        self.exchange.minorVersion = head.minorVersion
        self.exchange.wantsUpgrade = head.wantsUpgrade
        self.exchange.isPersistent = head.persistent
        self.exchange.headLength = head.length
        self.exchange.methodRange = head.methodRange
        self.exchange.target = head.target
        self.exchange.host = head.host
        self.exchange.upgrade = head.upgrade
        self.exchange.requestFraming = head.framing
        self.exchange.began = self.core.nowMicroseconds
        self.exchange.client = self.peer
        self.exchange.requestID = (self.core.random.next(), self.core.random.next())
        self.closeAfter = !head.persistent
        self.isSlow = false
    }

    /// Refuses a request whose head was used up. With a body on the way the connection cannot go on.
    private func refuse(_ reason: LocalReason, using count: Int) -> Int {
        if self.exchange.requestFraming != .none { self.closeAfter = true }
        if reason == .connectRefused || reason == .bodyTooLarge { self.closeAfter = true }
        self.reply(reason)
        return count
    }

    private func usedByReply(_ count: Int) -> Int { count }

    private func match(_ head: RequestHead, span: borrowing Span<UInt8>, table: RoutingTable) -> Int? {
        self.core.fieldReferences.removeAll(keepingCapacity: true)
        if table.needsHeaders {
            for index in 0..<self.core.fields.count {
                let field = self.core.fields[index]
                self.core.fieldReferences.append(
                    FieldReference(
                        nameLower: field.name.lower, nameUpper: field.name.upper, valueLower: field.value.lower,
                        valueUpper: field.value.upper))
            }
        }
        let references = self.core.fieldReferences
        if head.path.isEmpty || head.form == .asterisk {
            // `OPTIONS *` asks the server as a whole, and an absolute target may leave the path out: both mean the root.
            let root: [UInt8] = [0x2F]
            return table.match(
                method: span.extracting(head.methodRange.bounds), host: span.extracting(head.host.bounds),
                path: root.span, bytes: span, fields: references.span)
        }
        return table.match(
            method: span.extracting(head.methodRange.bounds), host: span.extracting(head.host.bounds),
            path: span.extracting(head.path.bounds), bytes: span, fields: references.span)
    }

    /// Who the client is: the peer, or whom a trusted peer names last in X-Forwarded-For.
    private func identifyClient(_ span: borrowing Span<UInt8>) {
        if let accept = self.core.fields.first(.accept) {
            self.exchange.acceptsJSON = Accept.takesJSON(span, accept.value)
        }
        guard !self.core.runtime.trustsNobody, let table = self.exchange.runtime?.table,
            table.trusted.contains(self.peer)
        else { return }
        self.exchange.isTrusted = true
        var index = self.core.fields.count - 1
        while index >= 0 {
            let field = self.core.fields[index]
            index -= 1
            guard field.id == .xForwardedFor else { continue }
            var elements = ForwardedFor(field.value)
            while let element = elements.previous(in: span) {
                // What stands before something that is no address cannot be believed either.
                guard let address = ForwardedAddress.read(span, element) else { return }
                self.exchange.client = address
                if !table.trusted.contains(address) { return }
            }
        }
    }

    private func considerUpgrade(_ head: RequestHead, route: RouteRuntime, span: borrowing Span<UInt8>) {
        // A body and an upgrade together leave no place where the tunnel's bytes would clearly begin.
        guard head.framing == .none || head.framing == .length(0) else { return }
        // The upstream may choose from the whole list, so the whole list must be allowed. A request whose wish is not
        // granted goes on as an ordinary one (RFC 9110 7.8).
        var wishes = UpgradeList(head.upgrade)
        var isGranted = false
        while let wish = wishes.next(in: span) {
            let name = UpgradeList.name(of: wish, in: span)
            isGranted = false
            for allowed in route.upgradeTokens where ASCII.equalsIgnoringCase(span, name, lowercase: allowed) {
                isGranted = true
            }
            guard isGranted else { return }
        }
        self.exchange.upgrades = isGranted
    }

    private func findOverride(_ route: RouteRuntime, span: borrowing Span<UInt8>) {
        guard let name = route.overrideHeader else { return }
        guard self.mayOverride(route) else { return }
        for index in 0..<self.core.fields.count {
            let field = self.core.fields[index]
            guard ASCII.equalsIgnoringCase(span, field.name, lowercase: name) else { continue }
            for (member, wanted) in route.memberNames.enumerated() where span.equals(field.value, wanted) {
                self.exchange.forcedMember = member
                return
            }
        }
    }

    /// The addresses named decide about the client, whoever speaks for it; a trusted peer may only where none are named.
    private func mayOverride(_ route: RouteRuntime) -> Bool {
        if !route.overrideTrusted.isEmpty { return route.overrideTrusted.contains(self.exchange.client) }
        return !route.overrideTrustedOnly || self.exchange.isTrusted
    }

    private func findStickyKey(_ route: RouteRuntime, span: borrowing Span<UInt8>) {
        guard route.isSticky else { return }
        if route.stickyByAddress {
            self.exchange.stickyKey = KeyHash.hash(self.exchange.client)
            self.exchange.hasStickyKey = true
            return
        }
        for index in 0..<self.core.fields.count {
            let field = self.core.fields[index]
            if let name = route.stickyHeader, ASCII.equalsIgnoringCase(span, field.name, lowercase: name) {
                self.exchange.stickyKey = KeyHash.hash(span.extracting(field.value.bounds))
                self.exchange.hasStickyKey = !field.value.isEmpty
                return
            }
            if let name = route.stickyCookie, field.id == .cookie,
                let value = Cookie.value(of: name, in: span, field.value)
            {
                self.exchange.stickyKey = KeyHash.hash(span.extracting(value.bounds))
                self.exchange.hasStickyKey = !value.isEmpty
                return
            }
        }
    }

    /// An idempotent request whose body came whole with its head may be sent again: keep the body too.
    private func keepBodyForReplay(_ head: RequestHead, bytes: UnsafeRawBufferPointer) {
        guard !self.exchange.requestComplete, head.method.isIdempotent,
            case .length(let length) = head.framing,
            length <= UInt64(Self.replayLimit - min(head.length, Self.replayLimit)),
            bytes.count - head.length >= Int(length)
        else { return }
        self.exchange.kept.append(
            UnsafeRawBufferPointer(rebasing: bytes[head.length..<head.length + Int(length)]), pool: &self.core.buffers)
        self.exchange.bodyKept = true
    }
}

extension Span<UInt8> {
    func equals(_ range: ByteRange, _ bytes: [UInt8]) -> Bool {
        guard range.count == bytes.count else { return false }
        for index in bytes.indices where self[Int(range.lower) + index] != bytes[index] { return false }
        return true
    }
}
