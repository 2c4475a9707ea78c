package conformance

var sharedCases = []*Case{
	{Name: "shared data missing", Script: `request_headers get_shared_data "k"`, Steps: get("/")},
	{Name: "shared data set and get", Script: `
		request_headers set_shared_data "a" "1" 0
		request_headers get_shared_data "a"
		request_headers set_shared_data "a" "2" 0
		request_headers get_shared_data "a"
		request_headers get_shared_data "A"`, Steps: get("/")},
	{Name: "shared data compare and swap", Script: `
		request_headers set_shared_data "a" "1" 0
		request_headers get_shared_data "a" >c
		request_headers set_shared_data "a" "2" $c
		request_headers set_shared_data "a" "3" $c
		request_headers get_shared_data "a" >c
		request_headers set_shared_data "a" "4" 123456789
		request_headers set_shared_data "a" "4" $c
		request_headers get_shared_data "a"`, Steps: get("/")},
	{Name: "shared data created by any cas", Script: `
		request_headers set_shared_data "a" "1" 99
		request_headers get_shared_data "a"`, Steps: get("/")},
	{Name: "shared data of nothing", Script: `
		request_headers set_shared_data "" "" 0
		request_headers get_shared_data ""
		request_headers set_shared_data "empty" "" 0
		request_headers get_shared_data "empty"`, Steps: get("/")},
	{Name: "shared data of the canary stays", Script: `
		configure get_shared_data "k"
		configure set_shared_data "k" "configured" 0
		request_headers get_shared_data "k"`, Steps: get("/")},
	{Name: "shared data over streams", Script: `
		request_headers get_shared_data "n"
		request_headers set_shared_data "n" "seen" 0`, Steps: append(get("/"), get("/")...)},
	{Name: "queue unknown", Script: `
		request_headers resolve_shared_queue "" "q"
		request_headers resolve_shared_queue "other" "q"
		request_headers dequeue_shared_queue 999999
		request_headers enqueue_shared_queue 999999 "x"
		request_headers dequeue_shared_queue 0`, Steps: get("/")},
	{Name: "queue in order", Script: `
		request_headers register_shared_queue "q" >q
		request_headers register_shared_queue "q" >r
		request_headers dequeue_shared_queue $q
		request_headers enqueue_shared_queue $q "one"
		request_headers enqueue_shared_queue $q ""
		request_headers enqueue_shared_queue $r "three"
		request_headers dequeue_shared_queue $q
		request_headers dequeue_shared_queue $q
		request_headers dequeue_shared_queue $r
		request_headers dequeue_shared_queue $q
		queue_ready say "ready"`, Steps: get("/")},
	{Name: "queue resolved", Script: `
		request_headers register_shared_queue "q" >q
		request_headers resolve_shared_queue "" "q" >r
		request_headers resolve_shared_queue "{case}" "q"
		request_headers resolve_shared_queue "other" "q"
		request_headers enqueue_shared_queue $q "one"
		request_headers dequeue_shared_queue $r`, Steps: get("/")},
	{Name: "queue wakes its last registrant", Script: `
		configure register_shared_queue "q" >q
		request_headers enqueue_shared_queue $q "one"
		queue_ready dequeue_shared_queue $q`, Steps: get("/")},
	{Name: "queue registered by the stream", Script: `
		request_headers register_shared_queue "q" >q
		request_headers enqueue_shared_queue $q "one"
		request_headers enqueue_shared_queue $q "two"
		queue_ready dequeue_shared_queue $q`, Steps: get("/")},
}

var metricCases = []*Case{
	{Name: "counter", Script: `
		request_headers define_metric 0 "{case}.c" >m
		request_headers get_metric $m
		request_headers increment_metric $m 1
		request_headers increment_metric $m 5
		request_headers increment_metric $m 0
		request_headers increment_metric $m -1
		request_headers get_metric $m
		request_headers record_metric $m 7
		request_headers get_metric $m`, Steps: get("/")},
	{Name: "gauge", Script: `
		request_headers define_metric 1 "{case}.g" >m
		request_headers get_metric $m
		request_headers increment_metric $m 5
		request_headers increment_metric $m -2
		request_headers get_metric $m
		request_headers record_metric $m 70
		request_headers increment_metric $m 0
		request_headers get_metric $m`, Steps: get("/")},
	{Name: "gauge below zero", Script: `
		request_headers define_metric 1 "{case}.g" >m
		request_headers record_metric $m 3
		request_headers increment_metric $m -3
		request_headers get_metric $m`, Steps: get("/")},
	{Name: "histogram", Script: `
		request_headers define_metric 2 "{case}.h" >m
		request_headers record_metric $m 7
		request_headers get_metric $m
		request_headers increment_metric $m 1`, Steps: get("/")},
	{Name: "histogram of many samples", Script: `
		configure define_metric 2 "{case}.h" >m
		configure record_metric $m 0
		configure record_metric $m 1
		request_headers record_metric $m 18446744073709551615
		request_headers record_metric $m -1
		request_headers get_metric $m
		response_headers record_metric $m 250
		log record_metric $m 250
		log get_metric $m`, Steps: append(get("/"), get("/")...)},
	{Name: "histogram beside a counter of its name", Script: `
		request_headers define_metric 2 "{case}.h" >h
		request_headers define_metric 2 "{case}.h" >again
		request_headers define_metric 0 "{case}.h" >c
		request_headers record_metric $again 5
		request_headers increment_metric $h 1
		request_headers increment_metric $again -1
		request_headers get_metric $again
		request_headers get_metric 6
		request_headers record_metric 14 1
		request_headers record_metric $c 3
		request_headers get_metric $c`, Steps: get("/")},
	{Name: "metrics unknown", Script: `
		request_headers get_metric 99
		request_headers increment_metric 99 1
		request_headers record_metric 99 1
		request_headers define_metric 3 "{case}.x"
		request_headers get_metric 0
		request_headers increment_metric 0 1
		request_headers get_metric 1
		request_headers get_metric 2`, Steps: get("/")},
	{Name: "metrics defined twice", Script: `
		request_headers define_metric 0 "{case}.c" >a
		request_headers define_metric 0 "{case}.c" >b
		request_headers define_metric 1 "{case}.g"
		request_headers define_metric 1 "{case}.g2"
		request_headers define_metric 2 "{case}.h"
		request_headers increment_metric $a 1
		request_headers increment_metric $b 1
		request_headers get_metric $a
		request_headers get_metric $b`, Steps: get("/")},
	{Name: "metrics of all threads are one", Script: `
		configure define_metric 0 "{case}.configured" >m
		configure increment_metric $m 1
		request_headers get_metric $m
		log increment_metric $m 10
		done get_metric $m`, Steps: get("/")},
}
