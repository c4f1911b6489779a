package apiserver

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"

	"github.com/gantry-run/gantry/runtime/apiserver/tokens"
)

// install serves every kind of the table with its subresources.
func (s *Server) install(srv *genericapiserver.GenericAPIServer, a *assembly, scheme *runtime.Scheme, codecs serializer.CodecFactory, issuer *tokens.Issuer, verifier authenticator.Token) error {
	groups := map[schema.GroupVersion]map[string]rest.Storage{}
	add := func(gv schema.GroupVersion, resource string, storage rest.Storage) {
		if groups[gv] == nil {
			groups[gv] = map[string]rest.Storage{}
		}
		groups[gv][resource] = storage
	}
	for _, k := range s.table {
		gv := k.GVK.GroupVersion()
		store := a.stores.get(k.GVK.Group, k.Resource)
		add(gv, k.Resource, store)
		if k.Status {
			add(gv, k.Resource+"/status", store.Status())
		}
		if k.Scale != nil {
			add(gv, k.Resource+"/scale", store.Scale())
		}
	}
	if err := s.special(a, issuer, verifier, add); err != nil {
		return err
	}
	var infos []*genericapiserver.APIGroupInfo
	parameters := runtime.NewParameterCodec(scheme)
	for _, gv := range slices.SortedFunc(maps.Keys(groups), func(a, b schema.GroupVersion) int {
		return slices.Compare([]string{a.Group, a.Version}, []string{b.Group, b.Version})
	}) {
		info := genericapiserver.NewDefaultAPIGroupInfo(gv.Group, scheme, parameters, codecs)
		info.PrioritizedVersions = []schema.GroupVersion{gv}
		info.VersionedResourcesStorageMap[gv.Version] = groups[gv]
		if gv.Group == "" {
			if err := srv.InstallLegacyAPIGroup(genericapiserver.DefaultLegacyAPIPrefix, &info); err != nil {
				return fmt.Errorf("core group: %w", err)
			}
			continue
		}
		infos = append(infos, &info)
	}
	return srv.InstallAPIGroups(infos...)
}

// publicDocuments serves what others need to verify our tokens.
func (s *Server) publicDocuments(srv *genericapiserver.GenericAPIServer, keys []tokens.Key) error {
	docs, err := tokens.Discovery(s.cfg.ServiceAccount.Issuer, s.cfg.ServiceAccount.Issuer+tokens.KeysPath, keys)
	if err != nil {
		return err
	}
	for path, h := range docs {
		srv.Handler.NonGoRestfulMux.Handle(path, onlyGet(h))
	}
	return nil
}

func onlyGet(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, "only GET is served here", http.StatusMethodNotAllowed)
			return
		}
		h.ServeHTTP(w, r)
	})
}
