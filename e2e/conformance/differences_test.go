package conformance

import "slices"

// difference is something in which hostsim is not Envoy, and why. There is no other way to allow a case to differ.
type difference struct {
	cases  []string
	what   string
	reason string
}

var differences = []difference{
	{[]string{"continue without a pause"},
		"A request that the plugin continues in its headers callback, without pausing it, is sent to the application once.",
		"Envoy goes on twice and sends the request twice; the connection to the application is then out of step. No test " +
			"can rest on that."},
	{[]string{"the application cuts its answer"},
		"An answer that the application cuts in its body is no answer at all.",
		"Upstreams of hostsim are functions whose answer is there as a whole, or not; there is no wire to cut."},
	{[]string{"close the response in its headers", "results that are no actions"},
		"The status of a stream that ended before its headers were sent is 0.",
		"hostsim reports what the client got. Envoy's access log reports what the application answered."},
	{[]string{"forwarded for and a remote address", "forwarded for and a trusted hop", "a remote address alone"},
		"With use_remote_address, a peer on loopback appears in x-forwarded-for as itself, and never in " +
			"x-envoy-external-address.",
		"Envoy puts the machine's first address there, which differs from machine to machine."},
	{[]string{"property size", "property response size"},
		"request.total_size is the size of the body and the headers as the plugin sees them; response.total_size is missing.",
		"Envoy counts bytes on the wire, request line and framing included. There is no wire in hostsim."},
	{[]string{"property upstream"},
		"upstream.local_address and upstream.transport_failure_reason are missing.",
		"There is no connection to an upstream in hostsim."},
	{[]string{"property direction"},
		"xds.upstream_host_metadata is missing (NotFound).",
		"Envoy has a host there whose metadata it fails to serialize. There are no hosts in hostsim."},
	{[]string{"other buffers"},
		"The call data buffer is empty outside of a foreign function.",
		"Envoy leaves there whatever buffer the context read last."},
	{[]string{"response inline headers"},
		"A field that a filter adds to a response comes before server.",
		"Envoy keeps the server field in its place when the plugin set one, and replaces its value."},
}

// known reports whether a case is one that may differ.
func known(c *Case) bool {
	return slices.ContainsFunc(differences, func(d difference) bool { return slices.Contains(d.cases, c.Name) })
}
