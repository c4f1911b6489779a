package apiserver

import (
	apiextensionsapiserver "k8s.io/apiextensions-apiserver/pkg/apiserver"
	genericopenapi "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	aggregatorscheme "k8s.io/kube-aggregator/pkg/apiserver/scheme"

	"github.com/gantry-run/gantry/runtime/apiserver/openapi"
)

// setOpenAPI describes the served types. The namer gets client-go's scheme and
// not ours, which knows every type under a second, internal name.
func setOpenAPI(cfg *genericapiserver.Config) {
	namer := genericopenapi.NewDefinitionNamer(clientgoscheme.Scheme, apiextensionsapiserver.Scheme, aggregatorscheme.Scheme)
	cfg.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(openapi.GetOpenAPIDefinitions, namer)
	cfg.OpenAPIConfig.Info.Title = "Gantry"
	cfg.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(openapi.GetOpenAPIDefinitions, namer)
	cfg.OpenAPIV3Config.Info.Title = "Gantry"
}
