package main

//go:wasmimport env proxy_log
func proxyLog(level, p, n uint32) uint32

//go:wasmimport env proxy_get_status
func proxyGetStatus(code, p, n uint32) uint32

//go:wasmimport env proxy_get_current_time_nanoseconds
func proxyGetCurrentTime(p uint32) uint32

//go:wasmimport env proxy_set_tick_period_milliseconds
func proxySetTickPeriod(ms uint32) uint32

//go:wasmimport env proxy_set_effective_context
func proxySetEffectiveContext(id uint32) uint32

//go:wasmimport env proxy_done
func proxyDone() uint32

//go:wasmimport env proxy_get_property
func proxyGetProperty(p, n, vp, vn uint32) uint32

//go:wasmimport env proxy_set_property
func proxySetProperty(p, n, vp, vn uint32) uint32

//go:wasmimport env proxy_call_foreign_function
func proxyCallForeignFunction(p, n, ap, an, rp, rn uint32) uint32

//go:wasmimport env proxy_define_metric
func proxyDefineMetric(kind, p, n, id uint32) uint32

//go:wasmimport env proxy_increment_metric
func proxyIncrementMetric(id uint32, delta int64) uint32

//go:wasmimport env proxy_record_metric
func proxyRecordMetric(id uint32, value uint64) uint32

//go:wasmimport env proxy_get_metric
func proxyGetMetric(id, out uint32) uint32

//go:wasmimport env proxy_get_header_map_value
func proxyGetHeaderMapValue(t, p, n, vp, vn uint32) uint32

//go:wasmimport env proxy_add_header_map_value
func proxyAddHeaderMapValue(t, p, n, vp, vn uint32) uint32

//go:wasmimport env proxy_replace_header_map_value
func proxyReplaceHeaderMapValue(t, p, n, vp, vn uint32) uint32

//go:wasmimport env proxy_remove_header_map_value
func proxyRemoveHeaderMapValue(t, p, n uint32) uint32

//go:wasmimport env proxy_get_header_map_pairs
func proxyGetHeaderMapPairs(t, vp, vn uint32) uint32

//go:wasmimport env proxy_set_header_map_pairs
func proxySetHeaderMapPairs(t, p, n uint32) uint32

//go:wasmimport env proxy_get_header_map_size
func proxyGetHeaderMapSize(t, out uint32) uint32

//go:wasmimport env proxy_get_buffer_bytes
func proxyGetBufferBytes(t, start, max, vp, vn uint32) uint32

//go:wasmimport env proxy_get_buffer_status
func proxyGetBufferStatus(t, length, flags uint32) uint32

//go:wasmimport env proxy_set_buffer_bytes
func proxySetBufferBytes(t, start, length, p, n uint32) uint32

//go:wasmimport env proxy_continue_stream
func proxyContinueStream(t uint32) uint32

//go:wasmimport env proxy_close_stream
func proxyCloseStream(t uint32) uint32

//go:wasmimport env proxy_send_local_response
func proxySendLocalResponse(code, dp, dn, bp, bn, hp, hn, grpc uint32) uint32

//go:wasmimport env proxy_get_shared_data
func proxyGetSharedData(p, n, vp, vn, cas uint32) uint32

//go:wasmimport env proxy_set_shared_data
func proxySetSharedData(p, n, vp, vn, cas uint32) uint32

//go:wasmimport env proxy_register_shared_queue
func proxyRegisterSharedQueue(p, n, id uint32) uint32

//go:wasmimport env proxy_resolve_shared_queue
func proxyResolveSharedQueue(vp, vn, p, n, id uint32) uint32

//go:wasmimport env proxy_enqueue_shared_queue
func proxyEnqueueSharedQueue(id, p, n uint32) uint32

//go:wasmimport env proxy_dequeue_shared_queue
func proxyDequeueSharedQueue(id, vp, vn uint32) uint32

//go:wasmimport env proxy_http_call
func proxyHTTPCall(up, un, hp, hn, bp, bn, tp, tn, timeout, id uint32) uint32

//go:wasmimport env proxy_grpc_call
func proxyGrpcCall(sp, sn, np, nn, mp, mn, ip, in, bp, bn, timeout, id uint32) uint32

//go:wasmimport env proxy_grpc_stream
func proxyGrpcStream(sp, sn, np, nn, mp, mn, ip, in, id uint32) uint32

//go:wasmimport env proxy_grpc_send
func proxyGrpcSend(id, p, n, end uint32) uint32

//go:wasmimport env proxy_grpc_cancel
func proxyGrpcCancel(id uint32) uint32

//go:wasmimport env proxy_grpc_close
func proxyGrpcClose(id uint32) uint32
