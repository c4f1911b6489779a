package registry

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

func TestDeviceExpressions(t *testing.T) {
	of := func(text string) []kind.Expression {
		return []kind.Expression{{Path: field.NewPath("e"), Text: text, Sort: kind.DeviceExpression}}
	}
	nested := "device.attributes['a'].b.split('').exists(x, " + strings.Repeat("device.attributes['a'].b.split('').exists(y, ", 3) + "true" + strings.Repeat(")", 4)
	for name, test := range map[string]struct{ text, want string }{
		"fine":             {`device.driver == "d.example.com" && device.attributes["d.example.com"].numa == 1`, ""},
		"of what is left":  {`device.allowMultipleAllocations && device.capacity["d.example.com"].memory.compareTo(quantity("1Gi")) >= 0`, ""},
		"no such variable": {"node.name == ''", "e: Invalid value"},
		"no boolean":       {"device.driver", "e: Invalid value"},
		"nothing":          {"", "e: Invalid value"},
		"too long":         {strings.Repeat(" ", 10*1024) + "true", "e: Too long: may not be more than 10240 bytes"},
		"too dear":         {nested, "e: Forbidden: too complex, exceeds cost limit"},
	} {
		errs := newExpressions().errors(of(test.text), nil)
		got := ""
		if len(errs) > 0 {
			got = errs.ToAggregate().Error()
		}
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		if again := newExpressions().errors(of(test.text), of(test.text)); len(again) > 0 {
			t.Errorf("%s: what stays is refused: %v", name, again)
		}
	}
}
