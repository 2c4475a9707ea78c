package conformance

// late is a local reply where the stream has a response already.
const late = ` send_local_response 403 "some details" "no entry" "" -1`

// crashCases are calls where Envoy does not expect them: some end its process, some do not. Those run alone.
var crashCases = []*Case{
	{Name: "local reply in log ends the process", Fatal: true, Script: "log" + late, Steps: get("/echo")},
	{Name: "local reply in log after a local reply ends the process", Fatal: true,
		Script: "request_headers" + late + "\nlog" + late, Steps: get("/echo")},
	{Name: "local reply in done ends the process", Fatal: true, Script: "done" + late, Steps: get("/echo")},
	{Name: "local reply in delete ends the process", Fatal: true, Script: "delete" + late, Steps: get("/echo")},
	{Name: "close request in log ends the process", Fatal: true, Script: "log close_stream 0", Steps: get("/echo")},
	{Name: "close response in log ends the process", Fatal: true, Script: "log close_stream 1", Steps: get("/echo")},
	{Name: "close request in done ends the process", Fatal: true, Script: "done close_stream 0", Steps: get("/echo")},
	{Name: "close response in done ends the process", Fatal: true, Script: "done close_stream 1", Steps: get("/echo")},
	{Name: "close request in delete ends the process", Fatal: true, Script: "delete close_stream 0", Steps: get("/echo")},
	{Name: "close response in delete ends the process", Fatal: true, Script: "delete close_stream 1", Steps: get("/echo")},
	{Name: "continue in log", Script: "log continue_stream 0\nlog continue_stream 1", Steps: get("/echo")},
	{Name: "continue in done", Script: "done continue_stream 0\ndone continue_stream 1", Steps: get("/echo")},
	{Name: "local reply in the last of a response body", Script: "response_body" + late, Steps: get("/echo")},
	{Name: "local reply without a body in a response body",
		Script: "response_body once\nresponse_body send_local_response 403 \"d\" \"\" \"\" -1", Steps: get("/echo")},
	{Name: "local reply in the midst of a response body", Script: "response_body once\nresponse_body" + late,
		Steps: get("/big/100000")},
	{Name: "local reply in response trailers after a body", Script: "response_trailers" + late, Steps: get("/trailers")},
}
