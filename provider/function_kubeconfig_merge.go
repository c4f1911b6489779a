package provider

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/function"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

var _ function.Function = kubeconfigMergeFunction{}

// kubeconfigMergeFunction is kubeconfig_merge.
type kubeconfigMergeFunction struct{}

// Metadata names the function.
func (kubeconfigMergeFunction) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "kubeconfig_merge"
}

// Definition describes it.
func (kubeconfigMergeFunction) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary:             "Merges kubeconfigs",
		MarkdownDescription: "Merges kubeconfigs into one. The current context is that of the first which has one. A name that stands for different things in two of them is an error. The result of ephemeral kubeconfigs is ephemeral.",
		VariadicParameter:   function.StringParameter{Name: "kubeconfigs", MarkdownDescription: "Kubeconfigs, as YAML."},
		Return:              function.StringReturn{},
	}
}

// Run merges.
func (kubeconfigMergeFunction) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var texts []string
	if resp.Error = req.Arguments.Get(ctx, &texts); resp.Error != nil {
		return
	}
	merged := clientcmdapi.NewConfig()
	for i, text := range texts {
		c, err := clientcmd.Load([]byte(text))
		if err == nil {
			err = mergeKubeconfig(merged, c)
		}
		if err != nil {
			// The text may hold a key: only the parser's words are told.
			resp.Error = function.NewArgumentFuncError(int64(i), "The kubeconfig cannot be merged: "+err.Error())
			return
		}
	}
	out, err := clientcmd.Write(*merged)
	if err != nil {
		resp.Error = function.NewFuncError(err.Error())
		return
	}
	resp.Error = resp.Result.Set(ctx, string(out))
}

func mergeKubeconfig(into, from *clientcmdapi.Config) error {
	if into.CurrentContext == "" {
		into.CurrentContext = from.CurrentContext
	}
	if err := mergeNamed("cluster", into.Clusters, from.Clusters); err != nil {
		return err
	}
	if err := mergeNamed("user", into.AuthInfos, from.AuthInfos); err != nil {
		return err
	}
	return mergeNamed("context", into.Contexts, from.Contexts)
}

func mergeNamed[T any](kind string, into, from map[string]T) error {
	for _, name := range slices.Sorted(maps.Keys(from)) {
		if old, ok := into[name]; ok && !reflect.DeepEqual(old, from[name]) {
			return fmt.Errorf("the %s %q is there already, and differs", kind, name)
		}
		into[name] = from[name]
	}
	return nil
}
