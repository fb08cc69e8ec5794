//! Where things of a namespace are in the API, and reading lists of them.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::form_urlencoded::byte_serialize;

use crate::client::Client;

/// Entries asked for at a time.
const PAGE: usize = 500;

/// A namespace; `None` is what is everybody's.
#[derive(Debug, Clone, Copy)]
pub(in crate::commands) struct Place<'a>(pub(in crate::commands) Option<&'a str>);

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    r#continue: Option<String>,
}

impl Place<'_> {
    /// `builds`, `builds/app`.
    pub(in crate::commands) fn path(self, of: &str) -> String {
        match self.0 {
            Some(namespace) => format!("/api/v1/namespaces/{namespace}/{of}"),
            None => format!("/api/v1/{of}"),
        }
    }

    /// All of a list, or the first `most`; `query` are parameters of its own.
    pub(in crate::commands) async fn list<T: DeserializeOwned>(
        self,
        client: &Client,
        of: &str,
        query: &str,
        most: usize,
    ) -> anyhow::Result<Vec<T>> {
        let (mut items, mut from) = (Vec::new(), String::new());
        while items.len() < most {
            let limit = (most - items.len()).min(PAGE);
            let path = self.path(of);
            let path = format!("{path}?limit={limit}&continue={from}{query}");
            let page: Page<T> = client.get(&path).await?;
            items.extend(page.items);
            match page.r#continue {
                Some(next) => from = byte_serialize(next.as_bytes()).collect(),
                None => break,
            }
        }
        Ok(items)
    }

    /// What all of a list are called.
    pub(in crate::commands) async fn names(
        self,
        client: &Client,
        of: &str,
    ) -> anyhow::Result<Vec<String>> {
        let items: Vec<Value> = self.list(client, of, "", usize::MAX).await?;
        let names = items
            .iter()
            .filter_map(|item| item["metadata"]["name"].as_str());
        Ok(names.map(str::to_owned).collect())
    }
}
