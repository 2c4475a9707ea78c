package e2e

import (
	"slices"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// TestFilterOrder: responses pass the filters from the last to the first. So a filter behind healthgate sees the answer
// to a check whose request it never saw, and one in front sees both, as with every other request.
func TestFilterOrder(t *testing.T) {
	t.Parallel()
	lua := func(name string) object {
		return object{"name": "lua", "typed_config": envoytest.Any(luaType, object{
			"default_source_code": object{"inline_string": `
function envoy_on_request(handle)
  handle:streamInfo():dynamicMetadata():set("lua", "request", "seen")
end
function envoy_on_response(handle)
  if handle:streamInfo():dynamicMetadata():get("lua") == nil then
    error("` + name + `: a response without a request")
  end
  handle:headers():add("x-lua", "` + name + `")
end`}})}
	}
	application := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), application.Port)
	behind, front := config.Listener("ingress"), config.AddListener("front")
	behind.HCM()["http_filters"] = slices.Insert(behind.Filters(), 1, any(lua("behind")))
	front.HCM()["http_filters"] = slices.Insert(front.Filters(), 0, any(lua("in front")))
	b := start(t, application, config, 1)
	b.settle(t)
	inFront := b.at(front)

	inFront.balancer.get(t, empty).has(t, "X-Lua", "in front")
	inFront.balancer.get(t, "/shop").has(t, "X-Lua", "in front")
	b.balancer.get(t, "/shop").has(t, "X-Lua", "behind")
	a := b.balancer.get(t, empty)
	a.is(t, 200, "") // the script's error does the check no harm
	envoytest.Eventually(t, envoytest.Limit, "the script's error", func() error {
		return b.envoy.Log.Has("behind: a response without a request")
	})
	if lines := b.envoy.Log.Lines("in front: a response without a request"); len(lines) > 0 {
		t.Errorf("%q", lines)
	}
}
