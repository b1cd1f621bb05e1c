/// Every metric this program exports: names are a public contract, so they are written here and nowhere else.
package enum MetricName: String, CaseIterable, Sendable {
    case requests = "balancer_requests_total"
    case requestDuration = "balancer_request_duration_seconds"
    case connectionsActive = "balancer_connections_active"
    case connectionsAccepted = "balancer_connections_accepted_total"
    case connectionsRefused = "balancer_connections_refused_total"
    case acceptFailures = "balancer_accept_failures_total"
    case connectionsRelieved = "balancer_connections_relieved_total"
    case proxyProtocol = "balancer_proxy_protocol_total"
    case interimsDropped = "balancer_interim_responses_dropped_total"
    case tunnelsActive = "balancer_tunnels_active"
    case exchangesActive = "balancer_exchanges_active"
    case rejected = "balancer_rejected_total"
    case retries = "balancer_retries_total"
    case retriesDenied = "balancer_retries_denied_total"
    case ejections = "balancer_ejections_total"
    case endpointAvailable = "balancer_endpoint_available"
    case endpointOutstanding = "balancer_endpoint_outstanding"
    case endpointRequests = "balancer_endpoint_requests_total"
    case endpointConnectFailures = "balancer_endpoint_connect_failures_total"
    case endpointMalformedAnswers = "balancer_endpoint_malformed_answers_total"
    case endpointConnectionsOpened = "balancer_endpoint_connections_opened_total"
    case endpointConnectionsIdle = "balancer_endpoint_connections_idle"
    case probeResults = "balancer_probe_results_total"
    case probeDuration = "balancer_probe_duration_seconds"
    case discoveryEndpoints = "balancer_discovery_endpoints"
    case discoveryLastSuccess = "balancer_discovery_last_success_timestamp_seconds"
    case discoveryFailures = "balancer_discovery_failures_total"
    case discoveryStale = "balancer_discovery_stale"
    case routeWeight = "balancer_route_weight"
    case routeShare = "balancer_route_share"
    case reserveServes = "balancer_reserve_serves"
    case tableGeneration = "balancer_table_generation"
    case tableAge = "balancer_table_age_seconds"
    case reloads = "balancer_reloads_total"
    case lastReloadSuccessful = "balancer_config_last_reload_successful"
    case guardRefusals = "balancer_guard_refusals_total"
    case ledgerErrors = "balancer_ledger_errors_total"
    case accessLogDropped = "balancer_access_log_dropped_total"
    case logLinesDropped = "balancer_log_lines_dropped_total"
    case adminConnectionsActive = "balancer_admin_connections_active"
    case adminConnectionsRefused = "balancer_admin_connections_refused_total"
    case adminDenied = "balancer_admin_denied_total"
    case buildInfo = "balancer_build_info"
    case residentMemory = "process_resident_memory_bytes"
    case cpuSeconds = "process_cpu_seconds_total"
    case openDescriptors = "process_open_fds"
    case startTime = "process_start_time_seconds"

    package enum Kind: String, Sendable {
        case counter
        case gauge
        case histogram
    }

    package var kind: Kind {
        switch self {
        case .requestDuration: .histogram
        case .cpuSeconds: .counter
        default: self.rawValue.hasSuffix("_total") ? .counter : .gauge
        }
    }

    package var help: String {
        switch self {
        case .requests: "Requests answered, by route, upstream (empty: answered here) and status class."
        case .requestDuration: "Time from the request's head to the end of its answer."
        case .connectionsActive: "Client connections open."
        case .connectionsAccepted: "Client connections accepted."
        case .connectionsRefused: "Client connections closed at accept because of a limit."
        case .connectionsRelieved: "Client connections reset because slow clients held more than limits.buffered."
        case .proxyProtocol:
            "Connections that had to begin with a header of the PROXY protocol, by listener and result."
        case .interimsDropped: "Interim responses beyond limits.interimResponses."
        case .acceptFailures: "Times that a listener could not accept and tried again later."
        case .tunnelsActive: "Upgraded connections open."
        case .exchangesActive: "Requests being answered."
        case .rejected: "Requests refused before they reached a route, by status."
        case .retries: "Further attempts made, by upstream."
        case .retriesDenied: "Further attempts not made because the retry budget was used up, by upstream."
        case .ejections: "Times an endpoint was taken out because of its answers to real traffic."
        case .endpointAvailable: "1 if the endpoint takes new requests."
        case .endpointOutstanding: "Requests at the endpoint that are not answered yet."
        case .endpointRequests: "Requests sent to the endpoint, attempts counted singly."
        case .endpointConnectFailures: "Connections to the endpoint that could not be opened."
        case .endpointMalformedAnswers: "Answers that broke the protocol's form or a limit of ours."
        case .endpointConnectionsOpened: "Connections opened to the endpoint."
        case .endpointConnectionsIdle: "Pooled connections to the endpoint that wait for a request."
        case .probeResults: "Probes, by what they found."
        case .probeDuration: "Time the last probe took."
        case .discoveryEndpoints: "Endpoints in use, of upstreams whose endpoints are found."
        case .discoveryLastSuccess: "Last time that endpoints were found, in seconds since 1970."
        case .discoveryFailures: "Attempts to find endpoints that failed."
        case .discoveryStale: "1 if the endpoints in use are not those of the last attempt, because it failed."
        case .routeWeight: "Weight in force."
        case .reserveServes: "1 while a side of weight 0 serves in reserve, because no side with a weight can."
        case .routeShare: "Share of the route's requests that the weight means now, 0 to 1, fail-over included."
        case .tableGeneration: "Number of the routing table in force."
        case .tableAge: "Time since the routing table was published."
        case .reloads: "Attempts to load the configuration file, by result."
        case .lastReloadSuccessful: "1 if the configuration file in place is the one in force."
        case .guardRefusals: "Rises of a side's share that the guard has refused, by reason."
        case .ledgerErrors: "Times that the ledger could not be read or written, or was found damaged."
        case .accessLogDropped: "Access log lines dropped because the log could not keep up."
        case .logLinesDropped: "Lines of the operational log dropped because they were not read in time."
        case .adminConnectionsActive: "Connections of the admin API open."
        case .adminConnectionsRefused: "Connections of the admin API closed because of the bound on their number."
        case .adminDenied: "Calls of the admin API that were not let in for want of a token, or of the right one."
        case .buildInfo: "Always 1; the version is in the label."
        case .residentMemory: "Resident memory."
        case .cpuSeconds: "Processor time used, user and system."
        case .openDescriptors: "Open file descriptors."
        case .startTime: "Start of the process, in seconds since 1970."
        }
    }
}
