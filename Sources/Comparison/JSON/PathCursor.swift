import JSONText

/// Patterns matched while a walk goes down and up: each step costs what the patterns that can still match cost, not all of them.
struct PathCursor {
    /// A pattern of which some segments are behind.
    private struct State {
        var pattern: Int32
        /// Of the next segment, among all patterns' segments.
        var next: Int32
    }

    private let segments: [JSONPath.Segment]
    /// Behind each pattern's segments.
    private let ends: [Int32]
    /// The states of all values from the root to where the walk is, one value behind the other.
    private var states: [State]
    /// Where each value's states begin.
    private var starts: [Int]
    /// The first pattern that selects each value.
    private var selected: [Int32]
    /// Steps below the last value in which any pattern could match.
    private var below = 0

    init(_ patterns: [JSONPath]) {
        var segments: [JSONPath.Segment] = []
        var ends: [Int32] = []
        self.states = []
        for (index, pattern) in patterns.enumerated() {
            if !pattern.segments.isEmpty {
                self.states.append(State(pattern: Int32(index), next: Int32(segments.count)))
            }
            segments += pattern.segments
            ends.append(Int32(segments.count))
        }
        self.segments = segments
        self.ends = ends
        self.starts = [0]
        self.selected = [Int32(patterns.firstIndex { $0.segments.isEmpty } ?? -1)]
    }

    /// The number of the first pattern that selects the present value.
    var match: Int? {
        guard self.below == 0, let last = self.selected.last, last >= 0 else { return nil }
        return Int(last)
    }

    /// What a step down costs.
    var width: Int { self.below > 0 ? 0 : self.states.count - (self.starts.last ?? 0) }

    mutating func enter(_ step: JSONStep) {
        let start = self.starts.last ?? 0
        let end = self.states.count
        guard self.below == 0, start < end else {
            self.below += 1
            return
        }
        var selected: Int32 = -1
        for position in start..<end {
            let state = self.states[position]
            let next = Int(state.next)
            if case .descendant = self.segments[next] { self.add(state, from: end) }
            guard self.segments[next].takes(step) else { continue }
            if state.next + 1 == self.ends[Int(state.pattern)] {
                if selected < 0 || state.pattern < selected { selected = state.pattern }
            } else {
                self.add(State(pattern: state.pattern, next: state.next + 1), from: end)
            }
        }
        self.starts.append(end)
        self.selected.append(selected)
    }

    /// Each state once, or `$..a..a` would have as many as there are ways to match it. States of one pattern lie together.
    private mutating func add(_ state: State, from start: Int) {
        var position = self.states.count
        while position > start, self.states[position - 1].pattern == state.pattern {
            if self.states[position - 1].next == state.next { return }
            position -= 1
        }
        self.states.append(state)
    }

    mutating func leave() {
        if self.below > 0 {
            self.below -= 1
            return
        }
        guard self.starts.count > 1, let start = self.starts.popLast() else { return }
        while self.states.count > start { self.states.removeLast() }
        self.selected.removeLast()
    }
}
