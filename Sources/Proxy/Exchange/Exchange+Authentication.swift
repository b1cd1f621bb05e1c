import Glibc
import HTTPWire
import Reactor
import Synchronization
import Traffic

/// Who asks, by name and password (RFC 7617). What is not remembered is looked at on another thread, and the exchange waits.
extension Exchange {
    /// Whether the request may go on, perhaps after a wait (`phase.isChecking`); else it was answered.
    func isAuthenticated(_ authentication: RouteAuthentication, _ counts: AuthenticationCounts) -> Bool {
        let room = self.core.memory.head
        let source = self.kept.bytes.bindMemory(to: UInt8.self).span
        switch BasicCredentials.decode(self.kept.fields, source, into: room) {
        case .none:
            counts.missing.add(1, ordering: .relaxed)
            self.replyUnauthorized(authentication)
            return false
        case .malformed:
            counts.malformed.add(1, ordering: .relaxed)
            self.replyUnauthorized(authentication)
            return false
        case .tooLarge:
            counts.malformed.add(1, ordering: .relaxed)
            self.reply(.badRequest)
            return false
        case .given(let name, let password, let count):
            // Passwords stay nowhere longer than they must.
            defer {
                if let base = room.baseAddress { explicit_bzero(base, min(room.count, BasicCredentials.largest)) }
            }
            return self.check(authentication, counts, room, name: name, password: password, count: count)
        }
    }

    private func check(
        _ authentication: RouteAuthentication, _ counts: AuthenticationCounts, _ room: UnsafeMutableRawBufferPointer,
        name: ByteRange, password: ByteRange, count: Int
    ) -> Bool {
        let bytes = UnsafeRawBufferPointer(room)
        let found = authentication.users.find(
            bytes.bindMemory(to: UInt8.self).span.extracting(name.bounds))
        guard authentication.users.users.indices.contains(found.index) else {
            self.replyUnauthorized(authentication)
            return false
        }
        let hash = authentication.users.users[found.index].hash
        // No name has a colon, and neither password nor hash a zero, so that no two sets of these make one text.
        let end = count + 1 + hash.count + 1
        guard end <= room.count else { return self.refuse(.authBusy, counts.busy) }
        room[count] = 0
        UnsafeMutableRawBufferPointer(rebasing: room[(count + 1)..<end]).copyBytes(from: hash)
        room[end - 1] = found.isKnown ? 1 : 0
        guard let code = self.core.credentialCode(UnsafeRawBufferPointer(rebasing: bytes[0..<end])) else {
            return self.refuse(.authBusy, counts.busy)
        }
        self.claimedUser = Int32(truncatingIfNeeded: found.index)
        if found.isKnown, self.core.remembered.contains(code, now: self.core.now) {
            return self.rememberedUser(counts)
        }
        let outcome = self.core.admission.checks.begin(
            code, password: UnsafeRawBufferPointer(rebasing: bytes[password.bounds]), hash: hash,
            passes: found.isKnown, client: self.clientAddress, now: self.core.now,
            CredentialChecks.Waiter(token: self.token, inbox: self.core.verdicts))
        switch outcome {
        case .remembered(let until):
            self.core.remembered.insert(code, until: until)
            return self.rememberedUser(counts)
        case .waiting:
            self.core.counts.checks += 1
            self.phase.checking()
            self.deadline = self.core.now + UInt64(self.route?.with { $0.timeouts.queue } ?? 5_000)
            self.arm()
            return true
        case .busy: return self.refuse(.authBusy, counts.busy)
        case .limited(let wait):
            counts.limited.add(1, ordering: .relaxed)
            let second: UInt64 = 1_000_000_000
            self.reply(.authFailures, retryAfter: max(1, wait / second + (wait % second > 0 ? 1 : 0)))
            return false
        }
    }

    private func rememberedUser(_ counts: AuthenticationCounts) -> Bool {
        counts.remembered.add(1, ordering: .relaxed)
        self.user = self.claimedUser
        return true
    }

    private func refuse(_ reason: LocalReason, _ count: borrowing Atomic<UInt64>) -> Bool {
        count.add(1, ordering: .relaxed)
        self.reply(reason)
        return false
    }

    private func replyUnauthorized(_ authentication: RouteAuthentication) {
        self.reply(.unauthorized, lines: authentication.challenge)
    }

    /// The password was looked at. On the worker's own turn, outside the client's events.
    func judged(_ verdict: CredentialVerdict) {
        // It may have been answered meanwhile, and still wait for its client to take that.
        guard self.client != nil, self.phase.isChecking, self.phase.isUnanswered, let route = self.route?.object,
            let authentication = route.authentication
        else { return }
        self.phase.checked()
        let counts = route.route.record.authentication
        guard verdict.isRight else {
            counts.denied.add(1, ordering: .relaxed)
            return self.replyUnauthorized(authentication)
        }
        counts.allowed.add(1, ordering: .relaxed)
        self.core.remembered.insert(verdict.code, until: verdict.until)
        self.user = self.claimedUser
        guard self.isWithinOtherLimits(route), let head = self.kept.head else { return }
        if self.phase.isRequestArriving, self.collects(head, available: 0) {
            self.client?.object.wantBody(self.clientStream)
        } else {
            self.dispatch()
        }
    }

    /// The name of the user who asks; nil: nobody was asked.
    var userName: [UInt8]? {
        guard self.user >= 0, let users = self.route?.object.authentication?.users.users,
            Int(self.user) < users.count
        else { return nil }
        return users[Int(self.user)].name
    }
}

extension WorkerCore {
    /// nil: the library failed.
    func credentialCode(_ bytes: UnsafeRawBufferPointer) -> CredentialCode? {
        if self.hasher == nil { self.hasher = KeyedHash(key: self.admission.checks.key) }
        return self.hasher?.code(of: bytes)
    }

    /// Goes on with the exchanges whose credentials were looked at.
    func takeVerdicts() {
        self.admission.checks.collect()
        for verdict in self.verdicts.take() {
            self.counts.checks -= 1
            guard let exchange = self.handles.find(verdict.token)?.takeUnretainedValue() as? Exchange else { continue }
            exchange.judged(verdict)
        }
    }
}
