package hostsim

import "strings"

// responseFlags say what went wrong with a stream, in the bits of Envoy's response.flags (CoreResponseFlag in
// envoy/stream_info/stream_info.h). Flags of features that hostsim does not have are missing.
type responseFlags int64

const (
	flagNoHealthyUpstream     responseFlags = 1 << 1
	flagUpstreamTimeout       responseFlags = 1 << 2
	flagConnectFailure        responseFlags = 1 << 5
	flagConnectionTermination responseFlags = 1 << 6
	flagNoRoute               responseFlags = 1 << 8
	flagDownstreamDisconnect  responseFlags = 1 << 14
	flagRetryLimitExceeded    responseFlags = 1 << 15
	flagStreamIdleTimeout     responseFlags = 1 << 16
	flagProtocolError         responseFlags = 1 << 18
	flagUpstreamProtocolError responseFlags = 1 << 23
)

// flagNames are the flags as an access log has them.
var flagNames = []struct {
	flag responseFlags
	name string
}{
	{flagRetryLimitExceeded, "URX"}, // it is set before the others
	{flagNoHealthyUpstream, "UH"},
	{flagUpstreamTimeout, "UT"},
	{flagConnectFailure, "UF"},
	{flagConnectionTermination, "UC"},
	{flagNoRoute, "NR"},
	{flagDownstreamDisconnect, "DC"},
	{flagStreamIdleTimeout, "SI"},
	{flagProtocolError, "DPE"},
	{flagUpstreamProtocolError, "UPE"},
}

// String returns the flags as %RESPONSE_FLAGS% logs them.
func (f responseFlags) String() string {
	var names []string
	for _, n := range flagNames {
		if f&n.flag != 0 {
			names = append(names, n.name)
		}
	}
	if names == nil {
		return "-"
	}
	return strings.Join(names, ",")
}
