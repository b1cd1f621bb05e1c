/// One answer of the two that are compared, as far as it is kept.
package struct MirroredAnswer: Sendable, Equatable {
    package struct Field: Sendable, Equatable {
        /// In lower case.
        package var name: String
        package var value: [UInt8]

        package init(name: String, value: [UInt8]) {
            self.name = name
            self.value = value
        }
    }

    package var status: UInt16
    /// Those that are compared, and those that say how to read the body.
    package var fields: [Field]
    package var body: CapturedBody

    package init(status: UInt16, fields: [Field], body: CapturedBody) {
        self.status = status
        self.fields = fields
        self.body = body
    }
}

/// A request that can be sent once more; the data plane knows its inside.
package protocol MirroredRequest: AnyObject, Sendable {
    /// As the client wrote both.
    var method: String { get }
    var target: String { get }
}

/// A live answer and that to its copy.
package struct MirroredPair: Sendable {
    package var migration: String
    package var route: String
    /// Of the stage's run in which the live request was answered.
    package var epoch: UInt64
    package var request: any MirroredRequest
    package var old: MirroredAnswer
    package var new: MirroredAnswer
    /// The copy's answer is the new side's.
    package var isCopyNew = true
    /// Holds what both take of the plan's memory.
    package var lease: MirrorLease

    package init(
        migration: String, route: String, epoch: UInt64, request: any MirroredRequest, old: MirroredAnswer,
        new: MirroredAnswer, lease: MirrorLease
    ) {
        self.migration = migration
        self.route = route
        self.epoch = epoch
        self.request = request
        self.old = old
        self.new = new
        self.lease = lease
    }
}
