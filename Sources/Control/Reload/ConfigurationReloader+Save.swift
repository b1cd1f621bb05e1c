import Glibc
import Reactor
import RoutesFile
import Traffic

/// How live weights get into the file: the process that has them in force knows the file, whoever asks may be elsewhere.
extension ConfigurationReloader {
    /// Changes weights and writes them into the file, as one thing for whoever asks: what cannot be written changes nothing, and
    /// is told before anything is changed. In a dry run the file is tried and left alone.
    package func changeAndSave(
        _ change: WeightChange, origin: ChangeOrigin, by publisher: TablePublisher
    ) async throws(ChangeRefused) -> WeightChangeOutcome {
        let outcome = try await self.saving(change, origin: origin, by: publisher)
        // The file is taken in at once, not when the watcher sees it.
        if outcome.savedTo != nil, !outcome.dryRun { await self.reload(.file) }
        return outcome
    }

    private func saving(
        _ change: WeightChange, origin: ChangeOrigin, by publisher: TablePublisher
    ) async throws(ChangeRefused) -> WeightChangeOutcome {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        guard publisher.agreement == nil else {
            throw .unsaved("the replicas' files would differ: change the weights where the files come from")
        }
        let path = self.path
        let present = self.inForce
        let sides = await publisher.current.table.spec.routes.first { $0.name == change.route }?.split?.weights
        guard let sides else { throw .notFound("no route \"\(change.route)\"") }
        let meant = sides.merging(change.weights.filter { sides[$0.key] != nil }) { $1 }
        let trial = await self.thread.run {
            FileSaving.attempt(path, inForce: present, route: change.route, weights: meant, puts: false)
        }
        if let trial { throw .unsaved(trial) }
        var outcome = try await publisher.setWeights(change, origin: origin)
        outcome.savedTo = path
        guard !change.dryRun else { return outcome }
        let weights = Dictionary(
            outcome.after.map { ($0.upstream, $0.weight) }, uniquingKeysWith: { first, _ in first })
        let failure = await self.thread.run {
            FileSaving.attempt(path, inForce: present, route: change.route, weights: weights, puts: true)
        }
        if let failure {
            outcome.savedTo = nil
            outcome.warnings.append("in force, and not saved: \(failure)")
        } else {
            await publisher.noteSaved(change.route, in: path, origin: origin, reason: change.reason)
        }
        return outcome
    }
}

enum FileSaving {
    /// Writes the file with other weights, or only finds out whether that can be. Answers why not; nil: it can be, or is done.
    /// Blocks.
    static func attempt(
        _ path: String, inForce: [UInt8]?, route: String, weights: [String: UInt32], puts: Bool
    ) -> String? {
        let bytes: [UInt8]
        switch ConfigurationFile.read(path) {
        case .bytes(let read): bytes = read
        case .empty, .missing: return "there is no \(path) any more"
        case .unreadable(let reason): return "\(path) cannot be read: \(reason)"
        }
        // What somebody has written since must not be put in force, or lost, by the way.
        guard bytes == inForce else { return "\(path) is not the one that is in force: load it first, or mend it" }
        do {
            let text = try SplitText.replacing(weights, ofRoute: route, in: bytes)
            let replacement = try FileReplacement(of: path)
            if puts { try replacement.put(text) }
            return nil
        } catch let unfit as SplitText.Unfit {
            return "\(path): \(unfit.reason)"
        } catch let failure as SystemError {
            return Self.words(failure, path)
        } catch {
            return "\(path): \(error)"
        }
    }

    private static func words(_ failure: SystemError, _ path: String) -> String {
        switch failure.code {
        case EROFS, EACCES, EPERM:
            "\(path) cannot be written (\(failure)): where it comes from elsewhere, such as a ConfigMap, change it there"
        default: "\(path) cannot be written: \(failure)"
        }
    }
}
