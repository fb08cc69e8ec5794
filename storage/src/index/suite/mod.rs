//! What every [`Index`] must do, one function a clause. [`index_suite!`] makes a test of each, so a failure names the
//! index and the clause.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "clauses of tests: their names say what they demand, and they fail by panicking"
)]

mod material;

pub mod audit;
pub mod blobs;
pub mod journal;
pub mod manifests;
pub mod records;
pub mod referrers;
pub mod repositories;
pub mod search;
pub mod tags;
pub mod tokens;
pub mod uploads;

use std::sync::Arc;

use super::Index;

pub use material::{BLOB_SIZE, artifact, at, blob, hold, image, list, put, repo, tag, then};

/// An index under test.
pub type Subject = Arc<dyn Index>;

/// One test per clause for the index that `$open` opens; it returns the index and whatever must live as long.
#[macro_export]
macro_rules! index_suite {
    ($open:expr) => {
        $crate::index_suite!($open;
            repositories:
                a_new_index_knows_nothing,
                a_repository_lives_as_long_as_its_manifests,
                repositories_are_paged_in_byte_order,
                everything_is_counted;
            blobs:
                a_blob_is_seen_only_where_it_is_held,
                linking_again_counts_once,
                mounting_needs_a_holder,
                a_blob_that_a_manifest_needs_stays,
                holders_are_paged;
            uploads:
                an_upload_session_lives_until_its_blob_is_linked,
                idle_sessions_are_found,
                nobody_has_more_sessions_than_allowed;
            manifests:
                a_manifest_needs_all_its_blobs,
                what_may_be_absent_is_not_needed,
                a_sparse_image_needs_none,
                pushing_again_changes_nothing,
                the_same_bytes_may_get_another_type,
                another_type_needs_the_right_to_move_tags,
                of_racing_types_one_wins,
                deleting_a_manifest_frees_its_tags,
                records_tell_what_a_manifest_names;
            tags:
                a_tag_moves_only_when_it_may,
                deleting_a_tag_keeps_the_manifest,
                tags_are_paged_in_byte_order,
                of_racing_first_pushes_one_wins,
                racing_moves_leave_one_of_them;
            referrers:
                referrers_are_filtered_and_paged,
                a_page_of_referrers_has_a_weight;
            journal:
                every_change_is_in_the_journal,
                clearing_the_journal_leaves_what_came_since,
                what_has_no_ground_is_not_loaded;
            tokens:
                tokens_are_kept_by_their_names,
                nobody_has_more_tokens_than_allowed,
                tokens_are_taken_over_as_they_were;
            records:
                a_record_is_written_at_its_revision,
                a_batch_of_records_is_all_or_nothing,
                records_are_paged_by_name_and_prefix,
                a_page_of_records_has_a_weight,
                briefs_are_read_without_their_records,
                open_records_are_found_in_all_namespaces,
                namespaces_of_records_are_paged,
                records_of_a_namespace_are_counted,
                records_are_carried_as_they_were,
                of_racing_writes_of_a_record_one_wins;
            audit:
                a_change_leaves_its_rows_and_a_refused_one_none,
                a_change_of_nobody_leaves_no_row,
                what_is_noted_comes_back_as_it_was,
                rows_expire_by_class,
                numbers_are_never_given_twice,
                rows_are_carried_with_their_numbers;
            search:
                the_record_is_searched_by_every_condition,
                pages_of_the_record_miss_nothing,
                a_long_search_goes_on_where_it_stopped;
        );
    };
    ($open:expr; $($subject:ident: $($clause:ident),+;)+) => {
        $($(
            #[tokio::test(flavor = "multi_thread")]
            async fn $clause() {
                let (index, _keep) = $open;
                $crate::index::suite::$subject::$clause(index).await;
            }
        )+)+
    };
}
