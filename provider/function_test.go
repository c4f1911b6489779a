package provider

import (
	"context"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// call runs a function and returns its result, or its error's text.
func call(t *testing.T, f function.Function, args ...attr.Value) (attr.Value, string) {
	t.Helper()
	var d function.DefinitionResponse
	f.Definition(context.Background(), function.DefinitionRequest{}, &d)
	result, err := d.Definition.Return.NewResultData(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	resp := function.RunResponse{Result: result}
	f.Run(context.Background(), function.RunRequest{Arguments: function.NewArgumentsData(args)}, &resp)
	if resp.Error != nil {
		return nil, resp.Error.Error()
	}
	return resp.Result.Value(), ""
}

func TestQuorum(t *testing.T) {
	for n, want := range map[int64][2]int64{1: {1, 0}, 2: {2, 0}, 3: {2, 1}, 4: {3, 1}, 5: {3, 2}} {
		got, said := call(t, quorumFunction{}, types.Int64Value(n))
		in := got.(types.Object).Attributes()
		if said != "" || !in["majority"].Equal(types.Int64Value(want[0])) || !in["tolerance"].Equal(types.Int64Value(want[1])) {
			t.Errorf("%d: %v %s", n, got, said)
		}
	}
	for _, n := range []int64{0, -1} {
		if _, said := call(t, quorumFunction{}, types.Int64Value(n)); !strings.Contains(said, "masters hold no cluster: at least one is required") {
			t.Errorf("%d: %q", n, said)
		}
	}
}

func strs(in ...string) attr.Value {
	var values, kinds = []attr.Value{}, []attr.Type{}
	for _, s := range in {
		values, kinds = append(values, types.StringValue(s)), append(kinds, types.StringType)
	}
	return types.TupleValueMust(kinds, values)
}

func TestParseHosts(t *testing.T) {
	got, said := call(t, parseHostsFunction{}, types.StringValue("a 10.0.0.1\nb u@10.0.0.2\nc 10.0.0.3:22"), strs())
	if said != "" {
		t.Fatal(said)
	}
	for name, want := range map[string]struct {
		address    string
		user, port attr.Value
	}{
		"a": {"10.0.0.1", nil, nil}, "b": {"10.0.0.2", types.StringValue("u"), types.Int64Null()}, "c": {"10.0.0.3", types.StringNull(), types.Int64Value(22)},
	} {
		h := got.(types.Map).Elements()[name].(types.Object).Attributes()
		ssh := h["ssh"].(types.Object)
		if !h["address"].Equal(types.StringValue(want.address)) || ssh.IsNull() != (want.user == nil) {
			t.Errorf("%s is %v", name, h)
		}
		if in := ssh.Attributes(); want.user != nil && (!in["user"].Equal(want.user) || !in["port"].Equal(want.port)) {
			t.Errorf("%s: ssh is %v", name, in)
		}
	}
	if _, said := call(t, parseHostsFunction{}, types.StringValue("a b c"), strs("g")); !strings.Contains(said, "cannot be read") || !strings.Contains(said, "there is no group [g]") || strings.Contains(said, "line") {
		t.Errorf("%q", said)
	}
}

// kubeconfig is a kubeconfig of one cluster, user and context.
func kubeconfig(name, server, current string) string {
	return "apiVersion: v1\nkind: Config\ncurrent-context: " + current + "\nclusters:\n- name: " + name + "\n  cluster: {server: " + server + "}\n" +
		"users:\n- name: " + name + "\n  user: {token: secret}\ncontexts:\n- name: " + name + "\n  context: {cluster: " + name + ", user: " + name + "}\n"
}

func TestKubeconfigMerge(t *testing.T) {
	got, said := call(t, kubeconfigMergeFunction{}, strs(kubeconfig("a", "https://a", `""`), kubeconfig("b", "https://b", "b"), kubeconfig("c", "https://c", "c"), kubeconfig("b", "https://b", "b")))
	if said != "" {
		t.Fatal(said)
	}
	text := got.(types.String).ValueString()
	if !strings.Contains(text, "current-context: b\n") || strings.Count(text, "server: ") != 3 || strings.Count(text, "token: ") != 3 {
		t.Errorf("merged into\n%s", text)
	}
	for want, second := range map[string]string{
		`the cluster "a" is there already, and differs`: kubeconfig("a", "https://z", "a"),
		`the user "a" is there already, and differs`:    strings.Replace(kubeconfig("a", "https://a", "a"), "token: secret", "token: other", 1),
		`the context "a" is there already, and differs`: strings.Replace(kubeconfig("a", "https://a", "a"), "context: {", "context: {namespace: x, ", 1),
		"The kubeconfig cannot be merged":               "{",
	} {
		if _, said := call(t, kubeconfigMergeFunction{}, strs(kubeconfig("a", "https://a", "a"), second)); !strings.Contains(said, want) || strings.Contains(said, "other") {
			t.Errorf("said %q, want %q", said, want)
		}
	}
}
