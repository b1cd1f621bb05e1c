import Traffic

extension TablePublisher {
    /// Milliseconds between two looks.
    private static let lookInterval: UInt64 = 1_000

    /// Writes into the journal when a side begins to serve in reserve, and when it ends.
    package func watchReserves() async {
        while !Task.isCancelled {
            do { try await self.clock.sleep(Self.lookInterval) } catch { return }
            await self.noteReserves()
        }
    }

    func noteReserves() async {
        let now = self.clock.monotonic()
        var serving: [String: String] = [:]
        for route in self.table.routes {
            guard let member = route.servingReserve(now: now), let upstream = route.upstream(member) else { continue }
            serving[route.name] = upstream.name
        }
        guard serving != self.servingReserves else { return }
        let before = self.servingReserves
        self.servingReserves = serving
        for route in Set(before.keys).union(serving.keys).sorted() where before[route] != serving[route] {
            let detail =
                serving[route].map { "\($0) serves in reserve: no side with a weight has an available endpoint" }
                ?? "\(before[route] ?? "") serves no more in reserve"
            let origin = ChangeOrigin(.health)
            if await self.tellAll(.reserve, detail, of: route, origin) { continue }
            self.enter(.reserve, detail: detail, origin: origin, subject: route)
        }
    }
}
