import Documents
import HTTPTypes
import Synchronization

/// A body's other forms: each is made when somebody first asks for it, and kept as long as the body.
final class EncodedForms: Sendable {
    /// What is known of a form.
    enum Form: Sendable {
        case made(Body)
        /// It would be no shorter than the body.
        case useless
    }

    /// Shorter bodies are sent as they are.
    static let shortest = 1024

    private let forms = Mutex<[ContentCoding: Form]>([:])

    /// nil when it has not been made.
    subscript(coding: ContentCoding) -> Form? {
        get { forms.withLock { $0[coding] } }
        set { forms.withLock { $0[coding] = newValue } }
    }
}

extension Reply {
    /// What of it is known to be sent to a client that likes `coding` best; nil when that form has to be made first.
    func known(as coding: ContentCoding?) -> Reply? {
        guard let coding, let forms = body?.forms else { return self }
        switch forms[coding] {
        case .made(let form): return encoded(form, coding)
        case .useless: return self
        case nil: return nil
        }
    }

    /// The same with the body in another form.
    fileprivate func encoded(_ form: Body, _ coding: ContentCoding) -> Reply {
        var reply = self
        reply.body = form
        reply.coding = coding
        return reply
    }
}

/// Makes the forms that clients ask for.
struct BodyEncoding: Sendable {
    /// The codings that may be used, the preferred one first.
    let codings: [ContentCoding]
    private let budget: MemoryBudget
    private let metrics: GatewayMetrics
    /// How long making one may take.
    private let limit: Duration
    private let flights = SingleFlight<EncodedForms.Form?>()

    init(_ codings: [ContentCoding], budget: MemoryBudget, metrics: GatewayMetrics, limit: Duration) {
        self.codings = codings
        self.budget = budget
        self.metrics = metrics
        self.limit = limit
    }

    /// A body that may be sent in other forms, if it is long enough for that.
    func prepared(_ body: Body) -> Body {
        guard !codings.isEmpty, body.forms == nil, body.count > EncodedForms.shortest else { return body }
        var body = body
        body.forms = EncodedForms()
        return body
    }

    /// The reply in the form that a client likes best, made once for all who ask for it at the same time. As it is when
    /// there is no memory or time for that.
    ///
    /// - Parameter fields: the values of the client's `Accept-Encoding` fields.
    func reply(_ reply: Reply, accepting fields: [String]) async -> Reply {
        guard reply.status == .ok, let body = reply.body, let forms = body.forms,
            let coding = ContentCoding.preferred(in: fields, of: codings)
        else { return reply }
        if let known = reply.known(as: coding) { return known }
        let form = try? await flights.value(for: "\(coding) \(ObjectIdentifier(forms))", within: limit) {
            // Another one has made it since.
            if let known = forms[coding] { return known }
            guard let form = try await make(body, as: coding) else { return nil }
            forms[coding] = form
            return form
        }
        guard case .made(let body) = form.flatMap({ $0 }) else { return reply }
        return reply.encoded(body, coding)
    }

    private func make(_ body: Body, as coding: ContentCoding) async throws -> EncodedForms.Form? {
        // What it takes to make it, and what will probably be made.
        guard let lease = budget.leaseSpare(min(Encoder.memory(coding), 4 * body.count) + body.count / 2) else {
            return nil
        }
        defer { withExtendedLifetime(lease) {} }
        let encoded = try await QueryDeadline.$current.withValue(.now + limit) {
            try await Composer.run(over: body.count) { pace in
                try Encoder.encode(body, as: coding) { try pace.check() }
            }
        }
        guard var encoded else { return nil }
        metrics.count(coding)
        guard encoded.count < body.count else { return .useless }
        encoded.lease = budget.charge(encoded.storage)
        encoded.tag = body.tag.map { "\($0)-\(coding.rawValue)" }
        return .made(encoded)
    }
}
