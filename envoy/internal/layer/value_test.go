package layer

import "testing"

// What Envoy's YAML reader refuses is refused; e2e/operator asks Envoy.
func TestCheckValue(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"true": true, "disk swap, rack 4": true, "is it? it is": true, "why ? because": true, "": true, "- a": true,
		"{numerator: 1, denominator: HUNDRED}": true, "numerator: 1\r\ndenominator: HUNDRED\r\n": true, "a\u0085b": true,
		"?": false, "- ?": false, "{?}": false, "? a: b": false, "? [a]": false, ": a": false,
		"!]": false, "!!!str": false, "!!e!x": false, "&a: &b": false, "[": false, "a: b: c": false, "@": false,
		"a: b\u0085c: d": false, "a: b\u2028c: d": false, "a: b\rc: d": false,
		"note: fix\r@rob": false, "- \r@": false,
	} {
		t.Run(text, func(t *testing.T) {
			if err := CheckValue(text); (err == nil) != good {
				t.Errorf("%q: %v", text, err)
			}
		})
	}
}
