import JSONText

/// What the processes of one replica have told of plans' runs, as one annotation of its Lease. The API server refuses an object whose
/// annotations have more than 256 KiB together, and a refusal would take all of the replica's plans with it.
enum CountersAnnotation {
    typealias Sample = (name: String, value: JSONValue)

    /// Bytes of it; another annotation may be somebody else's.
    static let limit = 200 << 10

    /// `told`: by this process. `earlier`: by those before it, of the same runs. What does not fit is left out, lists first: whose
    /// `retirement` is left out counts as one that has not told who needs the old side.
    static func samples(told: [Sample], earlier: [Sample], limit: Int = Self.limit) -> [Sample] {
        // Nobody takes their lists back any more; when they needed the old side last stands beside them.
        var groups = (told: told, earlier: earlier.map { ($0.name, $0.value.without("retirement")) } as [Sample])
        var excess = (groups.told + groups.earlier).reduce(2 - limit) { $0 + self.size($1) }
        self.leaveOut("classes", of: &groups.earlier, &excess)
        self.leaveOut("retirement", of: &groups.told, &excess)
        // Replicas that have heard of them keep what they counted.
        self.leaveOut(nil, of: &groups.earlier, &excess)
        self.leaveOut("classes", of: &groups.told, &excess)
        return (groups.told + groups.earlier).sorted { $0.name < $1.name }
    }

    /// The member of the longest samples, or (nil) they themselves, until the rest fits.
    private static func leaveOut(_ member: String?, of samples: inout [Sample], _ excess: inout Int) {
        guard excess > 0 else { return }
        for sample in samples.sorted(by: { self.size($0) > self.size($1) }) where excess > 0 {
            guard let place = samples.firstIndex(where: { $0.name == sample.name }) else { continue }
            excess -= self.size(sample)
            guard let member else {
                samples.remove(at: place)
                continue
            }
            samples[place].value = sample.value.without(member)
            excess += self.size(samples[place])
        }
    }

    /// With quotation marks, colon and comma.
    private static func size(_ sample: Sample) -> Int { sample.name.utf8.count + sample.value.bytes.count + 4 }
}

extension JSONValue {
    fileprivate func without(_ name: String) -> JSONValue {
        guard case .object(let members) = self.content else { return self }
        return JSONValue(.object(members.filter { $0.name != name }), line: self.line)
    }
}
