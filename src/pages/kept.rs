//! Pages that hold for a while: rendered when somebody asks first, then handed out as shared bytes.

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::Response;

use super::language::{Language, PerLanguage};
use super::prepared::Prepared;

/// The last page of each language, and what it holds for: a second, say.
#[derive(Debug)]
pub(super) struct Kept(PerLanguage<ArcSwapOption<(u64, Prepared)>>);

impl Kept {
    pub(super) fn build() -> Result<Self, String> {
        PerLanguage::build(|_| Ok(ArcSwapOption::empty())).map(Self)
    }

    /// The page for `key`, made if the last one was for another. Two who ask at once may both make it.
    pub(super) fn page(
        &self,
        language: Language,
        key: u64,
        make: impl FnOnce() -> Result<Prepared, String>,
    ) -> Result<Response<Bytes>, String> {
        let place = self.0.of(language);
        if let Some(kept) = place.load().as_ref().filter(|kept| kept.0 == key) {
            return Ok(kept.1.response(None));
        }
        let fresh = make()?;
        let response = fresh.response(None);
        place.store(Some(std::sync::Arc::new((key, fresh))));
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;

    #[test]
    fn a_page_is_made_once_for_each_key_and_language() {
        let kept = Kept::build().unwrap();
        let made = std::cell::Cell::new(0);
        let make = || {
            made.set(made.get() + 1);
            let body = Bytes::from(made.get().to_string());
            Ok(Prepared { status: StatusCode::OK, headers: HeaderMap::new(), body })
        };
        let (it, de) = (Language::from_tag("it").unwrap(), Language::from_tag("de").unwrap());
        let page = |language, key| kept.page(language, key, make).unwrap().into_body();
        assert_eq!(
            [page(it, 1), page(it, 1), page(de, 1), page(it, 2), page(it, 2)],
            ["1", "1", "2", "3", "3"]
        );
        assert!(kept.page(it, 3, || Err("broken".into())).is_err());
        assert_eq!(page(it, 2), "3", "a page that fails takes no place");
    }
}
