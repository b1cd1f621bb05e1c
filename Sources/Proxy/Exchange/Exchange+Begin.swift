import HTTPWire
import Reactor
import Traffic

/// From the head to the decision who answers.
extension Exchange {
    /// An idempotent request whose body came whole with its head may be sent again: up to this size it is kept.
    private static let replayLimit = 65_536

    /// Begins with a parsed head at the start of `source`, whose fields are in the worker's memory. False if it was
    /// answered here: the exchange may be over then.
    func begin(
        _ head: RequestHead, _ source: UnsafeRawBufferPointer, for client: ClientConnection, on stream: StreamID
    ) -> Bool {
        let plan = self.core.current
        plan.with { $0.exchanges += 1 }
        self.plan = plan
        self.client = Reference(to: client)
        self.clientStream = stream
        self.method = head.method
        self.clientAddress = client.peer
        self.began = self.core.nowMicroseconds
        self.requestID = (self.core.random.next(), self.core.random.next())
        self.phase = ExchangePhase(hasBody: head.framing != .none && head.framing != .length(0))
        self.keep(head, source)
        if head.method == .post { self.noteGRPC(head, source) }

        if case .connect = head.method {
            self.reply(.connectRefused, endsConnection: true)
            return false
        }
        if client.isHostStrict, !self.isNamed(head.host, in: source, by: client) {
            self.reply(.misdirected)
            return false
        }
        return plan.with { self.begin(head, source, $0.shared, client) }
    }

    /// Whether the certificate that the client was shown names the request's host.
    @inline(never)
    private func isNamed(_ host: ByteRange, in source: UnsafeRawBufferPointer, by client: ClientConnection) -> Bool {
        client.tls?.names(source.bindMemory(to: UInt8.self).span, host.bounds) ?? true
    }

    private func begin(
        _ head: RequestHead, _ source: UnsafeRawBufferPointer, _ plan: TablePlan, _ client: ClientConnection
    ) -> Bool {
        let span = source.bindMemory(to: UInt8.self).span
        if !plan.isPlain { self.look(at: span, plan) }
        let listener = plan.table.needsListener ? client.listener.bit : 0
        guard let index = self.match(head, span, table: plan.table, listener: listener), index < plan.routes.count
        else {
            self.reply(.noRoute)
            return false
        }
        return plan.routes[index].with { self.begin(head, span, $0) }
    }

    /// Who the client is, and whether spans are made of its request.
    @inline(never)
    private func look(at span: borrowing Span<UInt8>, _ plan: TablePlan) {
        if !plan.trustsNobody { self.identifyClient(span, plan) }
        if let tracing = plan.tracing { self.beginTrace(tracing, span) }
    }

    private func keep(_ head: RequestHead, _ source: UnsafeRawBufferPointer) {
        let room = HeadBlock.room(bytes: head.length, fields: self.core.memory.fields.count)
        let isKept = self.kept.keep(
            head, fields: self.core.memory.fields, bytes: source, in: self.core.buffers.take(atLeast: room))
        assert(isKept, "a block of HeadBlock.room holds its head")
    }

    func forgetHead() {
        if let block = self.kept.clear() { self.core.buffers.give(back: block) }
    }

    private func begin(_ head: RequestHead, _ span: borrowing Span<UInt8>, _ route: RoutePlan) -> Bool {
        self.route = Reference(to: route)
        if route.changesAnswers {
            self.mayCode = route.policies.contains(.compression)
            self.readsLittle = self.mayCode
        }
        if route.asksFirst, !self.passes(route) { return false }
        if route.policy.refusal(of: self.core.memory.fields) != nil {
            self.reply(.badFieldName)
            return false
        }
        if PassCount.mayHavePassed(self.core.memory.fields.list),
            PassCount.of(self.core.memory.fields.list, in: span, pseudonym: route.policy.via) >= route.maxPasses
        {
            self.reply(.loop)
            return false
        }
        // The last hop that the client wants to ask is this one (RFC 9110 7.6.2).
        if head.maxForwards == 0, head.method == .options || head.method == .trace {
            self.reply(head.method == .options ? .noForwards : .traceRefused)
            return false
        }
        if case .length(let length) = head.framing, length > route.limits.body {
            self.reply(.bodyTooLarge, endsConnection: true)
            return false
        }
        if route.redirects, let redirect = route.redirect {
            self.replyRedirect(redirect, head, span)
            return false
        }
        if route.respond != 0 {
            self.reply(.respond, status: route.respond)
            return false
        }
        if head.wantsUpgrade { self.considerUpgrade(head, route, span) }
        let forced = route.hasOverride ? self.overridden(route, span) : nil
        let key = route.isSticky ? self.stickyKey(route, self.core.memory.fields.list, span) : nil
        self.placement = Placement(forced: forced, stickyKey: key)
        return true
    }

    /// Whether the body is taken in before an endpoint is asked: the route wants it so, or it is there already and a
    /// further attempt might need it.
    func collects(_ head: RequestHead, available: Int) -> Bool {
        // Not before the client is known.
        guard let route = self.route?.object, !self.phase.isChecking else { return false }
        let buffered = Int(route.buffering.request)
        if buffered > 0 {
            self.collectLimit = buffered
            if head.expectContinue {
                // The client waits for a word before it sends.
                self.meetsExpectation = true
                self.client?.object.sendContinue(on: self.clientStream)
            }
        } else if self.isGRPC, self.clientStream > 0, available > 0, available <= Self.replayLimit - head.length {
            // One message, whole behind its head: its length is nowhere announced.
            self.collectLimit = .max
        } else if self.keepsBody, case .length(let length) = head.framing, head.length < Self.replayLimit,
            length <= UInt64(Self.replayLimit - head.length), UInt64(available) >= length
        {
            self.collectLimit = .max
        } else {
            return false
        }
        self.phase.collect()
        self.startBodyClock()
        self.arm()
        return true
    }

    private func match(
        _ head: RequestHead, _ span: borrowing Span<UInt8>, table: RoutingTable, listener: UInt64
    ) -> Int? {
        guard table.needsHeaders else {
            return self.match(head, span, table: table, listener: listener, fields: Span())
        }
        self.core.memory.fieldReferences.removeAll(keepingCapacity: true)
        for index in 0..<self.core.memory.fields.count {
            let field = self.core.memory.fields[index]
            self.core.memory.fieldReferences.append(
                FieldReference(
                    nameLower: field.name.lower, nameUpper: field.name.upper, valueLower: field.value.lower,
                    valueUpper: field.value.upper))
        }
        let references = self.core.memory.fieldReferences
        return self.match(head, span, table: table, listener: listener, fields: references.span)
    }

    private func match(
        _ head: RequestHead, _ span: borrowing Span<UInt8>, table: RoutingTable, listener: UInt64,
        fields: borrowing Span<FieldReference>
    ) -> Int? {
        var asksRoot = head.path.isEmpty
        if case .asterisk = head.form { asksRoot = true }
        if asksRoot {
            // `OPTIONS *` asks the server as a whole, and an absolute target may leave the path out: both mean the root.
            let root: InlineArray<1, UInt8> = [0x2F]
            return table.match(
                method: span.extracting(head.methodRange.bounds), host: span.extracting(head.host.bounds),
                path: root.span, listener: listener, bytes: span, fields: fields)
        }
        return table.match(
            method: span.extracting(head.methodRange.bounds), host: span.extracting(head.host.bounds),
            path: span.extracting(head.path.bounds), listener: listener, bytes: span, fields: fields)
    }

    /// Who the client is: the peer, or the last address that trusted peers name and that can be believed.
    private func identifyClient(_ span: borrowing Span<UInt8>, _ plan: TablePlan) {
        var identity = ClientIdentity(peer: self.clientAddress, trusted: plan.table.trusted)
        guard identity.isPeerTrusted else { return }
        self.isTrusted = true
        defer { self.clientAddress = identity.address }
        var index = self.core.memory.fields.count - 1
        while index >= 0 {
            let field = self.core.memory.fields[index]
            index -= 1
            guard field.id == .xForwardedFor else { continue }
            var elements = ForwardedFor(field.value)
            while let element = elements.previous(in: span) {
                guard identity.offer(span.extracting(element.bounds), trusted: plan.table.trusted) else { return }
            }
        }
    }

    private func considerUpgrade(_ head: RequestHead, _ route: RoutePlan, _ span: borrowing Span<UInt8>) {
        // A body and an upgrade together leave no place where the tunnel's bytes would clearly begin.
        guard self.phase.isRequestWhole else { return }
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
        self.grantsUpgrade = isGranted
    }

    /// The member of the split that the request itself names.
    private func overridden(_ route: RoutePlan, _ span: borrowing Span<UInt8>) -> Int? {
        guard let name = route.overrideHeader,
            route.overrideRule?.admits(self.clientAddress, isPeerTrusted: self.isTrusted) ?? false
        else { return nil }
        for index in 0..<self.core.memory.fields.count {
            let field = self.core.memory.fields[index]
            guard ASCII.equalsIgnoringCase(span, field.name, lowercase: name) else { continue }
            for (member, wanted) in route.memberNames.enumerated() where span.equals(field.value, wanted) {
                return member
            }
        }
        return nil
    }

    private func stickyKey(_ route: RoutePlan, _ fields: FieldList, _ span: borrowing Span<UInt8>) -> UInt64? {
        if route.stickyByAddress { return KeyHash.hash(self.clientAddress) }
        return self.fieldKey(header: route.stickyHeader, cookie: route.stickyCookie, fields, span)
    }

    /// The hash of a field's, or a cookie's, value; nil if it is missing or empty.
    func fieldKey(
        header: [UInt8]?, cookie: [UInt8]?, _ fields: FieldList, _ span: borrowing Span<UInt8>
    ) -> UInt64? {
        for index in 0..<fields.count {
            let field = fields[index]
            if let header, ASCII.equalsIgnoringCase(span, field.name, lowercase: header) {
                return field.value.isEmpty ? nil : KeyHash.hash(span.extracting(field.value.bounds))
            }
            if let cookie, field.id == .cookie, let value = Cookie.value(of: cookie, in: span, field.value) {
                return value.isEmpty ? nil : KeyHash.hash(span.extracting(value.bounds))
            }
        }
        return nil
    }
}

extension Span<UInt8> {
    func equals(_ range: ByteRange, _ bytes: [UInt8]) -> Bool {
        guard range.count == bytes.count else { return false }
        for index in bytes.indices where self[Int(range.lower) + index] != bytes[index] { return false }
        return true
    }
}
