import HTTPWire
import Traffic

/// What a live exchange keeps for its copy: the request, and the answer as it passes by. Of the exchange's worker alone, until
/// the exchange has ended and been recorded.
final class MirrorTap {
    let request: CopiedRequest
    /// To which the copy goes.
    let member: Int
    private let lease: MirrorLease
    private var answer: MirroredAnswer
    /// There was no memory for the body.
    private var isStarved = false

    init(_ request: CopiedRequest, to member: Int, status: UInt16, fields: [MirroredAnswer.Field], lease: MirrorLease) {
        self.request = request
        self.member = member
        self.lease = lease
        self.answer = MirroredAnswer(
            status: status, fields: fields, body: CapturedBody(limit: request.mirror.bodyLimit))
    }

    /// A piece of the live answer's body.
    func take(_ bytes: UnsafeRawBufferPointer) {
        guard !self.isStarved, !self.answer.body.append(bytes, self.lease) else { return }
        self.isStarved = true
        self.answer.body = CapturedBody(limit: 0)
    }

    /// The job, if the live answer was kept as it was; else why not.
    func job(isWhole: Bool, now: UInt64) -> MirrorJob? {
        guard isWhole, !self.isStarved else {
            self.request.mirror.record.drop(isWhole ? .memory : .body)
            return nil
        }
        return MirrorJob(
            request: self.request, member: self.member, purpose: .compare(self.answer, self.lease), offered: now)
    }
}

extension MirrorPlan {
    /// Of an answer's fields those that are kept.
    func kept(_ fields: FieldList, _ source: UnsafeRawBufferPointer) -> [MirroredAnswer.Field] {
        let span = source.bindMemory(to: UInt8.self).span
        var kept: [MirroredAnswer.Field] = []
        for index in 0..<fields.count {
            let field = fields[index]
            for name in self.names where ASCII.equalsIgnoringCase(span, field.name, lowercase: name) {
                kept.append(
                    MirroredAnswer.Field(
                        name: String(decoding: name, as: UTF8.self), value: Array(source[field.value.bounds])))
            }
        }
        return kept
    }
}
